"use strict";
// What the scripts of all pages share
const byId = (id) => document.getElementById(id);

function say(words, bad = false) {
  const status = byId("status");
  if (status.textContent !== words) status.textContent = words;
  status.classList.toggle("bad", bad);
}

// The answer to a request that changes something; its body is empty where a proxy answers with a page of its own
async function send(path, content, type, headers = {}) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": type, "X-Form-Token": document.body.dataset.token, ...headers },
    body: content,
    keepalive: typeof content === "string", // small ones arrive even if the page is closed
  });
  const body = await answer.json().catch(() => ({}));
  return { ok: answer.ok, status: answer.status, body };
}

const sendJson = (path, content) => send(path, JSON.stringify(content), "application/json");

// The body of such an answer; an error where the request is refused
async function answered(request) {
  const { ok, body } = await request;
  if (!ok) throw new Error(body.error);
  return body;
}
