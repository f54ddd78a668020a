"use strict";

async function makeLink(study) {
  say("");
  try {
    const request = sendJson("/admin/links", {
      study: Number(study),
      name: byId(`name-${study}`).value,
      days: Number(byId(`days-${study}`).value),
    });
    const link = await answered(request);
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
    await answered(sendJson("/admin/annotators", { annotator: Number(annotator), change: kind }));
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
