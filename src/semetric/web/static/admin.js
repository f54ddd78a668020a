"use strict";
const byId = (id) => document.getElementById(id);

async function makeLink(button) {
  const study = button.dataset.study;
  const status = byId("status");
  status.classList.remove("bad");
  status.textContent = "";
  try {
    const answer = await fetch("/admin/links", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Form-Token": document.body.dataset.token },
      body: JSON.stringify({
        study: Number(study),
        name: byId(`name-${study}`).value,
        days: Number(byId(`days-${study}`).value),
      }),
    });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.error);
    byId(`made-${study}`).hidden = false;
    byId(`url-${study}`).value = body.url;
    byId(`url-${study}`).select();
    status.textContent = `A link for ${body.name}. Copy it now; it is not kept.`;
  } catch (error) {
    status.classList.add("bad");
    status.textContent = error.message;
  }
}

for (const button of document.querySelectorAll(".make")) button.addEventListener("click", () => makeLink(button));
