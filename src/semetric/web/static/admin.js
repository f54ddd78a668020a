"use strict";
const byId = (id) => document.getElementById(id);

async function post(path, content) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Form-Token": document.body.dataset.token },
    body: JSON.stringify(content),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  return body;
}

function say(words, bad = false) {
  byId("status").textContent = words;
  byId("status").classList.toggle("bad", bad);
}

async function makeLink(study) {
  say("");
  try {
    const link = await post("/admin/links", {
      study: Number(study),
      name: byId(`name-${study}`).value,
      days: Number(byId(`days-${study}`).value),
    });
    byId(`made-${study}`).hidden = false;
    byId(`url-${study}`).value = link.url;
    byId(`url-${study}`).select();
    say(`A link for ${link.name}. Copy it now; it is not kept.`);
  } catch (error) {
    say(error.message, true);
  }
}

async function change(annotator, kind) {
  try {
    await post("/admin/annotators", { annotator: Number(annotator), change: kind });
    if (kind === "revoke") say("No link of this annotator holds any more. A new one can be made.");
    else location.reload(); // every number of the study may be another
  } catch (error) {
    say(error.message, true);
  }
}

for (const button of document.querySelectorAll(".make")) {
  button.addEventListener("click", () => makeLink(button.dataset.study));
}
for (const button of document.querySelectorAll(".change")) {
  button.addEventListener("click", () => change(button.dataset.annotator, button.dataset.change));
}
