"use strict";
// Lights an object, its match and its relations; lays maps over the images. The tables need none of this.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const views = [...document.querySelectorAll("svg.view")];
  const panel = document.getElementById("panel");
  const hint = document.getElementById("hint");
  const box = document.getElementById("object");
  const shapes = data.sides.map((side, s) => side.objects.map((_, i) => document.getElementById(`o${s}-${i}`)));
  const roles = ["reference", "image"];
  const MOST_LINES = 12; // relations drawn at once: the most probable
  const MOST_WORDS = 5; // of them with their predicate
  let pinned = null; // { s: side, i: object, j: other end of one relation, or undefined }
  let over = null;

  // Small builders; all text goes in as text, never as markup

  const element = (name, attributes, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const drawn = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const minus = (text) => text.replace("-", "−");
  const fixed = (value, places) => minus(value.toFixed(places));
  const signed = (value) => (value >= 0 ? "+" : "") + fixed(value, 3);
  const percent = (share) => `${fixed(100 * share, 1)}%`;
  const object = (s, i) => data.sides[s].objects[i];
  const chip = (s, i) =>
    element("button", { type: "button", class: `chip ${object(s, i).kind}`, "data-s": s, "data-i": i }, object(s, i).number);

  // What is lit

  const relationsOf = (s, i, j) =>
    data.sides[s].relations.filter(([a, b]) => (a === i || b === i) && (j === undefined || a === j || b === j));

  function light() {
    paint();
    describe();
  }

  function paint() {
    const now = pinned || over;
    views.forEach((view, s) => {
      view.classList.toggle("lit", Boolean(now));
      shapes[s].forEach((shape) => shape.classList.remove("on", "rel"));
      const links = view.querySelector(".links");
      if (links) links.replaceChildren();
    });
    if (!now) return;
    const match = object(now.s, now.i).match;
    mark(now.s, now.i, now.j);
    if (match === null) return;
    const end = now.j === undefined ? undefined : object(now.s, now.j).match;
    mark(1 - now.s, match, end === null ? -1 : end);
  }

  // Lights one object of one image with its relations; j names the other end of one relation, -1 an end without a match
  function mark(s, i, j) {
    const links = views[s].querySelector(".links");
    const unit = parseFloat(views[s].style.getPropertyValue("--u")) || 1.2;
    const radius = parseFloat(views[s].style.getPropertyValue("--r")) || 10;
    shapes[s][i].classList.add("on");
    const strongest = new Map(); // of the two ways between two objects only the more probable is drawn
    for (const relation of relationsOf(s, i, j)) {
      const end = relation[0] === i ? relation[1] : relation[0];
      if (!strongest.has(end)) strongest.set(end, relation);
    }
    const found = [...strongest.values()].slice(0, MOST_LINES);
    const ends = [...strongest.keys()].slice(0, MOST_LINES);
    if (j !== undefined && j >= 0 && !ends.includes(j)) ends.push(j);
    ends.forEach((end) => shapes[s][end].classList.add(j === undefined ? "rel" : "on"));
    found.forEach(([a, b]) => link(links, object(s, a).place, object(s, b).place, unit, radius));
    const taken = [...ends, i].map((end) => around(object(s, end).place, radius * unit, radius * unit));
    const words = views[s].clientWidth < 260 ? 0 : MOST_WORDS; // a phone has no room for them
    for (const [a, b, predicate] of found.slice(0, words)) {
      const place = freePlace(object(s, a).place, object(s, b).place, predicate, unit, views[s].viewBox.baseVal, taken);
      if (place) links.append(drawn("text", { class: "word", x: place[0], y: place[1] }, predicate));
    }
    [...ends, i].forEach((end) => links.append(disc(s, end)));
  }

  const around = ([x, y], halfWidth, halfHeight) => [x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight];
  const overlap = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

  // Where a predicate stands: on its line, else beside it, clear of numbers and other words; nowhere if there is no room
  function freePlace(from, to, words, unit, limit, taken) {
    const [halfWidth, halfHeight] = [words.length * 3.6 * unit, 7 * unit];
    const inside = (value, half, length) => Math.min(Math.max(value, half), Math.max(half, length - half));
    for (const beside of [0, 1, -1, 2, -2]) {
      for (const share of [0.5, 0.4, 0.6, 0.3, 0.7]) {
        const x = inside(from[0] + share * (to[0] - from[0]), halfWidth, limit.width);
        const y = inside(from[1] + share * (to[1] - from[1]) + beside * 13 * unit, halfHeight, limit.height);
        const own = around([x, y], halfWidth, halfHeight);
        if (taken.some((other) => overlap(own, other))) continue;
        taken.push(own);
        return [x, y];
      }
    }
    return null;
  }

  function link(links, from, to, unit, radius) {
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    const length = Math.hypot(dx, dy);
    if (length < 1) return;
    const [ux, uy] = [dx / length, dy / length];
    const gap = (radius + 1) * unit;
    const tip = [to[0] - ux * gap, to[1] - uy * gap]; // outside the number's disc
    const line = `M${from[0]} ${from[1]}L${tip[0] - ux * 5 * unit} ${tip[1] - uy * 5 * unit}`;
    links.append(drawn("path", { class: "under", d: line }), drawn("path", { d: line }));
    const wing = (side) => `${tip[0] - ux * 9 * unit - side * uy * 4.5 * unit} ${tip[1] - uy * 9 * unit + side * ux * 4.5 * unit}`;
    links.append(drawn("path", { class: "head", d: `M${tip[0]} ${tip[1]}L${wing(1)}L${wing(-1)}z` }));
  }

  function disc(s, i) {
    const { number, place, kind } = object(s, i);
    const made = drawn("g", { class: `disc ${kind}`, transform: `translate(${place[0]} ${place[1]})` });
    made.append(drawn("circle", {}), drawn("text", {}, number));
    return made;
  }

  function describe() {
    if (!box) return; // no objects, no panel
    const now = pinned || over;
    document.querySelectorAll(".lit-row").forEach((row) => row.classList.remove("lit-row"));
    panel.classList.toggle("has", Boolean(now));
    hint.hidden = Boolean(now);
    box.hidden = !now;
    box.replaceChildren();
    if (!now) return;
    const { s, i } = now;
    const own = object(s, i);
    const title = element("h2", {}, chip(s, i), `Object ${own.number}`, element("span", { class: "quiet" }, `of the ${roles[s]}`));
    const release = element("button", { type: "button", class: "release" }, "Let go");
    release.hidden = !pinned;
    title.append(release);
    const facts = element("dl");
    const fact = (name, ...words) => facts.append(element("dt", {}, name), element("dd", {}, ...words));
    if (own.label !== null) fact("Looks like", own.label);
    if (own.match === null) {
      fact("Match", own.seen ? "none; seen in place, without an outline" : "no real counterpart");
      if (own.nearest) fact("Nearest", chip(1 - s, own.nearest[0]), ` similarity ${fixed(own.nearest[1], 2)}`);
    } else {
      const pair = s === 0 ? [chip(0, i), " ↔ ", chip(1, own.match)] : [chip(0, own.match), " ↔ ", chip(1, i)];
      fact("Match", ...pair, s === 0 ? " of the image" : " with the image's");
      const iterated = `${fixed(own.before, 3)} before → ${fixed(own.after, 3)} after the iterations`;
      fact("Similarity", data.iterates ? iterated : fixed(own.after, 3));
    }
    if (own.adds !== null) {
      fact("The pair adds", `${signed(own.adds)} to SeSS` + (data.sess > 0 ? `, ${percent(own.adds / data.sess)} of it` : ""));
    }
    const share = `gives ${fixed(own.gain, 3)} of ${fixed(own.bound, 3)}, loses ${fixed(own.bound - own.gain, 3)}`;
    fact("Its share", share);
    if (own.partner === null) {
      fact("Counted with", own.gain > 0 ? "its place" : "nothing");
    } else if (own.partner !== own.match) {
      fact("Counted with", chip(1 - s, own.partner), ` similarity ${fixed(own.partner_similarity, 2)}`);
    }
    const other = own.match === null ? null : object(1 - s, own.match);
    fact("Importance", percent(own.importance) + (other ? `, its match ${percent(other.importance)}` : ""));
    if (!data.iterates) fact("Counts as an object", `to ${percent(own.member)}`);
    fact("Area", `${percent(own.area)} of the image`);
    const found = relationsOf(s, i);
    const list = element("ul", { class: "rels" });
    for (const [a, b, predicate, probability, kept, there] of found) {
      const then = { same: "✓ same there", other: `≈ ${there} there`, none: "– none there", unmatched: "an end has no match" };
      const line = element("li", {}, chip(s, a), ` ${predicate} `, chip(s, b), ` ${fixed(probability, 2)} `);
      line.append(element("span", { class: `kept ${kept}` }, then[kept]));
      list.append(line);
    }
    const many = found.length === 0 ? "No relations" : found.length === 1 ? "1 relation" : `${found.length} relations`;
    const count = found.length ? `${many}: probability, and what the matches in the ${roles[1 - s]} have` : many;
    box.append(title, facts, element("div", { class: "quiet" }, count), list);
    panel.scrollTop = 0;
    document.querySelectorAll("tr[data-i]:not([data-j])").forEach((row) => {
      const [rs, ri] = [Number(row.dataset.s), Number(row.dataset.i)];
      row.classList.toggle("lit-row", (rs === s && ri === i) || (rs !== s && ri === own.match));
    });
  }

  // Pointer, keys, touch

  const target = (event) => {
    const found = event.target.closest("[data-i]");
    if (!found) return null;
    const s = found.dataset.s ?? found.closest("[data-s]").dataset.s;
    const j = found.dataset.j === undefined ? undefined : Number(found.dataset.j);
    return { s: Number(s), i: Number(found.dataset.i), j };
  };
  const same = (a, b) => Boolean(a) === Boolean(b) && (!a || (a.s === b.s && a.i === b.i && a.j === b.j));
  const hover = (next) => {
    if (same(over, next)) return;
    over = next;
    if (!pinned) light();
  };
  const pin = (next) => {
    pinned = next;
    over = null;
    light();
    if (next) clear();
  };

  // On a phone the panel is a sheet at the bottom: the page moves so that both images stand above it
  function clear() {
    if (!panel || getComputedStyle(panel).position !== "fixed") return;
    const boxes = views.map((view) => view.parentElement.getBoundingClientRect());
    const [top, bottom] = [Math.min(...boxes.map((b) => b.top)), Math.max(...boxes.map((b) => b.bottom))];
    const room = innerHeight - panel.offsetHeight;
    if (top < 0 || bottom > room) scrollBy(0, top - 4);
  }

  // A line under every outline that sets it off from the photo, whether bright or dark
  views.forEach((view, s) => {
    const cases = view.querySelector(".cases");
    for (const shape of shapes[s]) {
      const dark = getComputedStyle(shape).getPropertyValue("--t").trim() === "#FFFFFF"; // then the line under it is light
      const classes = [...(shape.matches(".plain, .alone") ? [] : ["thick"]), ...(dark ? ["light"] : [])];
      const opacity = 0.5 * Number(shape.getAttribute("stroke-opacity") ?? 1);
      cases.append(drawn("path", { d: shape.getAttribute("d"), class: classes.join(" "), "stroke-opacity": opacity }));
    }
  });

  views.forEach((view, s) => {
    view.addEventListener("pointermove", (event) => {
      hover(target(event));
      read(view, event);
    });
    view.addEventListener("pointerleave", () => {
      hover(null);
      say("");
    });
    view.addEventListener("click", (event) => {
      const next = target(event);
      pin(same(pinned, next) ? null : next);
      read(view, event);
    });
    // On the figure, since listening for focus makes the svg itself a stop of the Tab key
    view.parentElement.addEventListener("focusin", (event) => {
      if (event.target.matches(":focus-visible")) hover(target(event));
    });
    view.parentElement.addEventListener("focusout", (event) => {
      if (over && panel && panel.contains(event.relatedTarget)) {
        pinned = over; // who tabs on into the panel wants to read it
        panel.querySelector(".release").hidden = false;
      } else {
        hover(null);
      }
    });
    view.addEventListener("keydown", (event) => {
      const now = target(event);
      if (!now) return;
      const order = data.sides[s].order;
      const at = order.indexOf(now.i);
      const steps = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: order.length - 1 };
      if (event.key in steps) {
        const next = shapes[s][order[(steps[event.key] + order.length) % order.length]];
        shapes[s].forEach((shape) => shape.setAttribute("tabindex", shape === next ? "0" : "-1"));
        if (pinned) pinned = null;
        next.focus({ preventScroll: true });
        hover({ s, i: Number(next.dataset.i), j: undefined });
        light();
      } else if (event.key === "Enter" || event.key === " ") {
        pin(same(pinned, now) ? null : now);
      } else return;
      event.preventDefault();
    });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") pin(null);
  });
  document.querySelectorAll("tr[data-i]").forEach((row) => {
    row.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && hover(target(event)));
    row.addEventListener("pointerleave", () => hover(null));
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest(".release")) {
      const { s, i } = pinned;
      pin(null);
      shapes[s][i].focus({ preventScroll: true });
    }
    const button = event.target.closest("button.chip");
    if (!button) return;
    const inside = panel.contains(button);
    pin({ s: Number(button.dataset.s), i: Number(button.dataset.i), j: undefined });
    if (inside) panel.querySelector(".chip").focus({ preventScroll: true }); // the one that was pressed is gone
    const seen = views[0].getBoundingClientRect();
    if (seen.bottom < 60 || seen.top > innerHeight - 60) document.getElementById("viewer").scrollIntoView();
  });

  // Maps

  const maps = [...document.querySelectorAll("image.map")];
  const legends = [...document.querySelectorAll(".legend")];
  const slider = document.getElementById("opacity");
  let shown = "none";
  const levels = {};
  for (const [name, map] of Object.entries(data.maps)) levels[name] = map.levels.map((packed) => Uint8Array.from(atob(packed), (c) => c.charCodeAt(0)));

  function say(words) {
    for (const legend of legends) legend.querySelector(".here").textContent = words;
  }

  // The map's value under the pointer
  function read(view, event) {
    const map = data.maps[shown];
    if (!map) return;
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(view.getScreenCTM().inverse());
    const limit = view.viewBox.baseVal;
    const k = Math.min(views.indexOf(view), map.cells.length - 1); // one map for both images, or one each
    const [rows, columns] = map.cells[k];
    const column = Math.floor((at.x / (limit.width * map.extent[0])) * columns);
    const row = Math.floor((at.y / (limit.height * map.extent[1])) * rows);
    const inside = column >= 0 && row >= 0 && column < columns && row < rows;
    const level = inside ? levels[shown][k][row * columns + column] : 0;
    say(inside ? `Here ${fixed(map.low + ((map.high - map.low) * level) / 255, 2)}.` : "");
  }

  function overlay() {
    const chosen = document.querySelector("input[name=map]:checked");
    shown = chosen ? chosen.value : "none";
    for (const part of [...maps, ...legends]) part.classList.toggle("shown", part.dataset.map === shown);
    for (const map of maps) map.style.opacity = slider.value / 100;
    if (slider) {
      slider.disabled = shown === "none";
      slider.parentElement.classList.toggle("off", shown === "none");
    }
  }
  document.querySelectorAll("input[name=map]").forEach((radio) => radio.addEventListener("change", overlay));
  if (slider) slider.addEventListener("input", overlay);
  overlay();
  const outlines = document.getElementById("outlines");
  const bare = () => views.forEach((view) => view.classList.toggle("bare", !outlines.checked));
  if (outlines) outlines.addEventListener("change", bare);
  if (outlines) bare();

  // Numbers and words keep their size, however large the image is shown
  const fit = () => {
    for (const view of views) {
      const scale = view.getScreenCTM();
      if (!scale || !(scale.a > 0)) continue;
      view.style.setProperty("--u", String(1 / scale.a));
      view.style.setProperty("--r", String(Math.min(10, Math.max(7, 0.03 * view.clientWidth))));
    }
    paint();
  };
  new ResizeObserver(fit).observe(document.body);
  fit();
})();
