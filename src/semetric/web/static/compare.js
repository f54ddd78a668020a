"use strict";
const MOST_BYTES = 20e6;
const POLL_MS = 1000;
const fields = ["reference", "image"];

for (const field of fields) {
  byId(field).addEventListener("change", () => {
    const file = byId(field).files[0];
    const frame = byId(`${field}-frame`);
    if (file && file.size > MOST_BYTES) {
      say(`${file.name} has ${(file.size / 1e6).toFixed(1)} MB; at most ${MOST_BYTES / 1e6} MB can be sent.`, true);
      byId(field).value = "";
    } else if (file) {
      const image = new Image();
      image.alt = `${field === "reference" ? "Reference" : "Image"}: ${file.name}`;
      image.addEventListener("load", () => URL.revokeObjectURL(image.src));
      image.src = URL.createObjectURL(file);
      frame.replaceChildren(image);
      say("");
    }
    byId("explain").disabled = fields.some((each) => byId(each).files.length === 0);
  });
}

byId("explain").addEventListener("click", async () => {
  byId("explain").disabled = true;
  try {
    const sent = {};
    for (const field of fields) {
      const file = byId(field).files[0];
      say(`Sending ${file.name}.`);
      const headers = { "X-File-Name": encodeURIComponent(file.name) };
      sent[field] = (await answered(send("/compare/images", file, "application/octet-stream", headers))).image;
    }
    const { job } = await answered(sendJson("/compare/jobs", sent));
    for (let seconds = 0; ; seconds++) {
      const answer = await fetch(`/compare/jobs/${job}`);
      const state = await answer.json();
      if (!answer.ok) throw new Error(state.error);
      if (state.state === "done") break;
      if (state.state === "failed") throw new Error(state.words);
      say(state.state === "waiting" ? "Waiting for the pairs before this one." : `Working, ${seconds} s so far.`);
      await new Promise((next) => setTimeout(next, POLL_MS));
    }
    say("Done.");
    location.assign(`/compare/jobs/${job}/page`);
  } catch (error) {
    say(error.message, true);
  }
  byId("explain").disabled = false;
});
