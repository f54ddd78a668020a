"use strict";
// One item at a time. The next ones are loaded ahead; answers wait in an outbox until the server has stored them, and
// are sent again until it has: the server knows each by its uid and stores it once.

const AHEAD = 4; // items held, the shown one included
const UNSAVED = 3; // answers that may wait before the next item does
const FEEDBACK_MS = 130;
const RETRY_MS = [500, 1000, 2000, 4000];

const kind = document.body.dataset.kind;
const slots = kind === "same" ? ["left", "right"] : ["reference", "left", "right"];
const names = kind === "same"
  ? { left: "First image", right: "Second image" }
  : { reference: "Reference", left: "Left candidate", right: "Right candidate" };

let turns = 0; // calls of advance
let queue = []; // items to come
let current = null; // the shown one
let outbox = [];
let last = null; // uid of the latest stored answer: what undo takes back
let begun = false;
let accepting = false;
let ended = false; // the server has nothing more for us now
let sending = null;
let filling = null;
let closed = false; // the session has run out
let shownAt = 0;
let hiddenAt = 0;
let hiddenFor = 0;

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

async function post(path, content) {
  const answer = await sendJson(path, content);
  if (answer.status === 401 || answer.status === 403) {
    closed = true;
    accepting = false;
    say(answer.body.error || "Your link has run out. Ask for a new one.", true);
  }
  return answer;
}

function load(item) {
  item.shown = {};
  item.ready = Promise.all(slots.map(async (slot) => {
    const image = new Image();
    image.alt = names[slot];
    image.draggable = false;
    image.decoding = "async";
    image.src = item.images[slot];
    item.shown[slot] = image;
    await image.decode();
  }));
  item.ready.catch(() => {}); // asked again when it is shown
  return item;
}

function take(state) {
  const known = new Map([current, ...queue].filter(Boolean).map((item) => [item.uid, item]));
  const unsent = new Set(outbox.map((answer) => answer.uid));
  const fresh = state.items.filter((item) => !unsent.has(item.uid));
  ended = state.items.length < AHEAD;
  queue = fresh.filter((item) => !current || item.uid !== current.uid).map((item) => known.get(item.uid) || load(item));
  progress(state);
}

function progress(state) {
  last = state.last;
  byId("bar").max = Math.max(1, state.goal);
  byId("bar").value = state.done;
  byId("count").textContent = `${state.done} of ${state.goal}`;
  byId("undo").disabled = last === null && outbox.length === 0;
}

// Asks for items until they are there, or there are none.
function fill() {
  filling ??= (async () => {
    for (let attempt = 0; !closed; attempt++) {
      try {
        const { ok, body } = await post("/annotate/next", { count: AHEAD });
        if (ok) {
          take(body);
          return;
        }
        if (!closed) say(body.error || "The server does not answer. Trying again.", true);
      } catch {
        say("No connection to the server. Trying again.", true);
      }
      await wait(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]);
    }
  })().finally(() => { filling = null; });
  return filling;
}

// Goes to the next item. An undo may call it while an earlier call waits for its images: that one then shows nothing,
// or else an answer to what is seen would be stored for another item.
async function advance() {
  const turn = ++turns;
  current = null;
  accepting = false;
  while (!closed) {
    if (outbox.length >= UNSAVED) {
      await flush();
      if (turn !== turns) return;
      continue;
    }
    if (queue.length === 0) {
      await flush(); // what we hold still is among the answers that are not stored yet
      if (turn !== turns) return;
      await fill();
      if (turn !== turns || closed) return; // a session that has run out is no end of the work
      if (queue.length === 0) {
        finish();
        return;
      }
    }
    const item = queue.shift();
    current = item;
    try {
      await item.ready;
    } catch {
      if (turn !== turns) return;
      say("An image could not be loaded. Trying again.", true);
      await wait(2000);
      if (turn !== turns) return;
      queue.unshift(load(item));
      continue;
    }
    if (turn !== turns) return;
    show(item);
    return;
  }
}

function show(item) {
  byId("done").hidden = true;
  byId("stage").hidden = false;
  for (const slot of slots) {
    byId(`frame-${slot}`).replaceChildren(item.shown[slot]);
    byId(`frame-${slot}`).classList.remove("chosen");
  }
  fit();
  if (kind === "score") resetScores();
  if (outbox.length === 0) say("");
  hiddenFor = 0;
  hiddenAt = document.hidden ? performance.now() : 0;
  requestAnimationFrame(() => {
    if (current !== item) return; // undone meanwhile
    shownAt = performance.now();
    accepting = !closed;
    document.body.dataset.shown = item.uid;
  });
}

// All images of an item at one scale, which makes none larger than it is.
function fit() {
  if (!current?.shown || byId("stage").hidden) return;
  const scales = slots.map((slot) => {
    const frame = byId(`frame-${slot}`);
    const image = current.shown[slot];
    return Math.min(frame.clientWidth / image.naturalWidth, frame.clientHeight / image.naturalHeight);
  });
  const scale = Math.min(1, ...scales);
  for (const slot of slots) {
    const image = current.shown[slot];
    image.style.width = `${image.naturalWidth * scale}px`;
    image.style.height = `${image.naturalHeight * scale}px`;
  }
}

function finish() {
  delete document.body.dataset.shown;
  byId("stage").hidden = true;
  byId("done").hidden = false;
}

async function answer(content, frame) {
  if (!accepting || !current || byId("dialog").open) return;
  accepting = false;
  const away = hiddenAt ? performance.now() - hiddenAt : 0;
  const seconds = Math.max(0, (performance.now() - shownAt - hiddenFor - away) / 1000);
  outbox.push({ uid: current.uid, seconds, ...content });
  byId("undo").disabled = false;
  if (frame) byId(`frame-${frame}`).classList.add("chosen");
  flush();
  await wait(FEEDBACK_MS);
  await advance();
}

// Sends what waits, in order, until all of it is stored.
function flush() {
  sending ??= (async () => {
    for (let attempt = 0; outbox.length > 0 && !closed;) {
      try {
        const { ok, status, body } = await post("/annotate/answer", outbox[0]);
        if (ok) {
          outbox.shift();
          attempt = 0;
          if (!body.new) say("You had answered that one already; the first answer stays.");
          else say("");
          progress(body);
          continue;
        }
        if (status >= 400 && status < 500 && status !== 429 && !closed) {
          say(body.error || "That answer could not be stored.", true);
          outbox.shift();
          attempt = 0;
          queue = [];
          continue;
        }
      } catch { /* no connection */ }
      if (!closed) say("Not stored yet. Trying again; keep this page open.", true);
      await wait(RETRY_MS[Math.min(attempt++, RETRY_MS.length - 1)]);
    }
  })().finally(() => {
    sending = null;
    if (begun && !ended && queue.length < AHEAD - 2) fill();
  });
  return sending;
}

async function undo() {
  if (!begun || closed || byId("undo").disabled || byId("dialog").open) return;
  accepting = false;
  byId("undo").disabled = true;
  await flush();
  if (filling) await filling;
  try {
    if (last === null) return; // the answer was refused, and there is none before it
    const { ok, body } = await post("/annotate/undo", { uid: last });
    if (filling) await filling; // it may not know of the undo
    if (ok) {
      if (current) queue.unshift(current);
      current = null;
      take(body);
      ended = false;
      await advance();
      say("Undone: judge it again.");
      return;
    }
    say(body.error || "That could not be undone.", true);
  } catch {
    say("No connection to the server; nothing was undone.", true);
  } finally {
    byId("undo").disabled = last === null && outbox.length === 0;
    accepting = !closed && current !== null && document.body.dataset.shown === current.uid; // not while it loads
  }
}

// Scores

const sides = ["left", "right"];
let active = 0;

function setScore(side, value) {
  const slider = byId(`score-${side}`);
  slider.value = Math.min(1, Math.max(0, value));
  slider.classList.remove("unset");
  byId(`value-${side}`).textContent = Number(slider.value).toFixed(2);
  byId("confirm").disabled = sides.some((each) => byId(`score-${each}`).classList.contains("unset"));
}

function resetScores() {
  for (const side of sides) {
    byId(`score-${side}`).value = 0.5;
    byId(`score-${side}`).classList.add("unset");
    byId(`value-${side}`).textContent = "–";
  }
  byId("confirm").disabled = true;
  activate(0);
}

function activate(which) {
  active = which;
  if (document.activeElement !== byId(`score-${sides[which]}`)) byId(`score-${sides[which]}`).focus();
}

function confirmScores() {
  if (byId("confirm").disabled) return;
  const [left, right] = sides.map((side) => Number(byId(`score-${side}`).value));
  answer({ score_left: left, score_right: right });
}

function scoreKey(key) {
  const side = sides[active];
  if (/^[0-9]$/.test(key) || key === "f") {
    setScore(side, key === "f" ? 1 : Number(key) / 10);
    if (active === 0 && byId("score-right").classList.contains("unset")) activate(1);
  } else if (key === "ArrowUp" || key === "ArrowDown") {
    setScore(side, Number(byId(`score-${side}`).value) + (key === "ArrowUp" ? 0.05 : -0.05));
  } else if (key === "ArrowLeft" || key === "ArrowRight") {
    activate(key === "ArrowLeft" ? 0 : 1);
  } else if (key === "Enter") {
    confirmScores();
  } else {
    return false;
  }
  return true;
}

// Keys and buttons

const choose = { left: () => answer({ choice: "left" }, "left"), right: () => answer({ choice: "right" }, "right") };
const compare = { same: () => answer({ same: true }), different: () => answer({ same: false }) };
const keys = {
  choice: { 1: choose.left, ArrowLeft: choose.left, 2: choose.right, ArrowRight: choose.right },
  same: { s: compare.same, d: compare.different },
  score: {},
}[kind];

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const adjusts = kind === "score" && (event.key === "ArrowUp" || event.key === "ArrowDown");
  if (event.repeat && !adjusts) {
    event.preventDefault(); // a key held down answers once
    return;
  }
  if (byId("dialog").open) {
    if (event.key === "?") byId("dialog").close();
    return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "?") byId("dialog").showModal();
  else if (!begun) return;
  else if (key === "u") undo();
  else if (event.key === "Enter" && event.target.tagName === "BUTTON") return; // presses it
  else if (!current) return;
  else if (kind === "score") { if (!accepting || !scoreKey(key)) return; }
  else if (keys[key]) keys[key]();
  else return;
  event.preventDefault();
});

for (const button of document.querySelectorAll(".answer")) {
  const act = { ...choose, ...compare }[button.dataset.answer];
  button.addEventListener("click", act);
}
if (kind === "choice") sides.forEach((side) => byId(`frame-${side}`).addEventListener("click", choose[side]));
if (kind === "score") {
  sides.forEach((side, i) => {
    byId(`score-${side}`).addEventListener("input", (event) => setScore(side, Number(event.target.value)));
    byId(`score-${side}`).addEventListener("focus", () => activate(i));
    byId(`frame-${side}`).addEventListener("click", () => activate(i));
  });
  byId("confirm").addEventListener("click", confirmScores);
}
byId("undo").addEventListener("click", undo);
byId("help").addEventListener("click", () => byId("dialog").showModal());
byId("close").addEventListener("click", () => byId("dialog").close());
byId("begin").addEventListener("click", () => {
  byId("start").hidden = true;
  begun = true;
  byId("stage").hidden = false;
  document.activeElement?.blur();
  advance();
});

window.addEventListener("resize", fit);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) hiddenAt = performance.now();
  else if (hiddenAt) {
    hiddenFor += performance.now() - Math.max(hiddenAt, shownAt);
    hiddenAt = 0;
  }
});
window.addEventListener("beforeunload", (event) => {
  if (outbox.length > 0) event.preventDefault();
});

byId("begin").focus();
fill();
