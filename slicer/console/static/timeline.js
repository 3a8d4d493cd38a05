// A task's time line: pictures and audio of every anchor where they belong in time. The lanes are the
// contact sheet's; one player plays all audio, and goes on to the anchor's next slice by itself.

import { element, empty, pill } from "./dom.js";
import { bytes, clock, counted, duration, TONES, verdictText } from "./format.js";
import { get, mediaUrl } from "./api.js";
import { tiles } from "./live.js";
import { refreshed } from "./refresh.js";

const PICTURE = 116, AUDIO = 120, TICK = 96, LONGEST = 100000; // pixels
const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400]; // seconds

function typical(values) {
  const sorted = values.filter(value => value > 0).sort((a, b) => a - b);
  return sorted.length ? sorted[sorted.length >> 1] : 60;
}

// Maps time to pixels, so that most neighbours in a row do not cover each other.
function scaleOf(slices) {
  const begin = Math.min(...slices.map(one => one.began)), end = Math.max(...slices.map(one => one.began + one.seconds * 1000));
  const gaps = [], before = new Map();
  for (const one of slices) {
    if (one.kind !== "video") continue;
    if (before.has(one.anchor)) gaps.push((one.began - before.get(one.anchor)) / 1000);
    before.set(one.anchor, one.began);
  }
  const audio = slices.filter(one => one.kind === "audio").map(one => one.seconds);
  const seconds = Math.max((end - begin) / 1000, 1);
  const wanted = Math.max(gaps.length ? PICTURE / typical(gaps) : 0, audio.length ? AUDIO / typical(audio) : 0, 2);
  const width = Math.min(seconds * wanted, LONGEST);
  return { begin, seconds, width, x: ms => (ms - begin) / 1000 / seconds * width };
}

function axis(scale) {
  const step = TICKS.find(tick => tick / scale.seconds * scale.width >= TICK) ?? 86400;
  const marks = element("div", { className: "axis" }), grid = element("div", { className: "grid" });
  for (let at = Math.ceil(scale.begin / 1000 / step) * step; at * 1000 <= scale.begin + scale.seconds * 1000; at += step) {
    const time = element("time", {}, clock(at * 1000)), rule = element("i");
    time.style.left = rule.style.left = scale.x(at * 1000) + "px";
    marks.append(time);
    grid.append(rule);
  }
  return [marks, grid];
}

function describe(one) {
  const words = [one.anchor, clock(one.began), one.kind === "audio" ? duration(one.seconds) : "", one.size ? bytes(one.size) : ""];
  if (one.verdict) words.push(verdictText(one.verdict), one.verdict.text);
  if (one.state === "lost") words.push("lost: " + one.reason);
  if (one.state === "unkept") words.push("not kept");
  return words.filter(Boolean).join(" · ");
}

function tone(one) {
  return one.verdict ? { tone: one.verdict.suggest === "pass" ? "" : TONES[one.verdict.suggest], state: one.state } : { state: one.state };
}

export function timeline(main, [task, anchor]) {
  const title = element("h1", {}, "Task"), facts = element("p", { className: "facts" }), state = element("span");
  const line = element("div", { className: "line", tabIndex: 0, role: "region", "aria-label": "Time line" });
  const place = element("div", {}, empty("Loading…")), note = element("p", { className: "note", role: "status", hidden: true });
  const search = element("input", { type: "search", placeholder: "Filter anchors", "aria-label": "Filter anchors", value: anchor ?? "" });
  const audio = element("audio", { controls: true, preload: "none" }), now = element("p");
  const player = element("section", { className: "player", "aria-label": "Player", hidden: true }, now, audio);
  const back = element("a", { href: "#/tasks" }, "← Tasks");
  main.replaceChildren(element("p", {}, back), element("div", { className: "head" }, title, state, element("div", { className: "end" }, search)), facts, note, place, player);
  let slots = new Map(), playing = null, head = null, scale = null, found = null, following = true;

  function play(one) {
    playing = one;
    audio.src = mediaUrl(one.id);
    now.textContent = one.anchor + ", " + clock(one.began);
    player.hidden = false;
    audio.play().catch(() => { now.textContent = one.anchor + ", " + clock(one.began) + ": not kept here any more"; });
    mark();
  }

  function mark() {
    for (const [id, slot] of slots) if (slot.matches(".audio")) slot.setAttribute("aria-pressed", playing?.id === id);
    if (!head) return;
    head.hidden = !playing;
    follow();
  }

  function follow() {
    if (!playing || !head || !scale) return;
    // Not audio.duration: browsers count the file's pre-roll, which they do not play.
    head.style.left = scale.x(playing.began + Math.min(audio.currentTime, playing.seconds) * 1000) + "px";
  }

  audio.addEventListener("timeupdate", follow);
  audio.addEventListener("ended", () => {
    const own = found.slices.filter(one => one.kind === "audio" && one.anchor === playing.anchor);
    const next = own[own.findIndex(one => one.id === playing.id) + 1];
    if (next) play(next);
    else { playing = null; mark(); }
  });

  function view(pictures, at) {
    const image = element("img", { alt: "" }), words = element("p");
    const show = index => {
      if (!pictures[index]) return;
      at = index;
      image.src = mediaUrl(pictures[at].id);
      image.alt = words.textContent = describe(pictures[at]);
    };
    const dialog = element("dialog", { className: "viewer", "aria-label": "Picture" }, image, element("div", { className: "row" }, words,
      element("button", { type: "button", "aria-label": "Earlier", onclick: () => show(at - 1) }, "←"),
      element("button", { type: "button", "aria-label": "Later", onclick: () => show(at + 1) }, "→"),
      element("button", { type: "button", className: "main", onclick: () => dialog.close() }, "Close")));
    dialog.addEventListener("keydown", event => show(at + ({ ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0)));
    dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    show(at);
    dialog.showModal();
  }

  function picture(one, index, all) {
    const time = clock(one.began);
    const image = element("img", { alt: "", loading: "lazy", decoding: "async", src: mediaUrl(one.id) });
    image.addEventListener("error", () => image.replaceWith(element("span", {}, "Not kept here")));
    const slot = element("button", { type: "button", className: "picture", title: describe(one), "aria-label": describe(one), data: tone(one), onclick: () => view(all, index) }, image,
      one.verdict && one.verdict.suggest !== "pass" && one.verdict.suggest !== "unjudged" ? verdictText(one.verdict) : time);
    return slot;
  }

  function audioSlot(one) {
    return element("button", { type: "button", className: "audio", title: describe(one), "aria-label": "Play " + describe(one), "aria-pressed": playing?.id === one.id, data: tone(one),
      onclick: () => playing?.id === one.id && !audio.paused ? audio.pause() : play(one) }, "▸ " + clock(one.began) + " · " + duration(one.seconds));
  }

  function lane(name, own, number) {
    const pictures = own.filter(one => one.kind === "video"), audios = own.filter(one => one.kind === "audio");
    const size = own.reduce((sum, one) => sum + one.size, 0);
    const rows = [[pictures, "pictures", picture], [audios, "audios", audioSlot]].filter(([list]) => list.length).map(([list, className, make]) =>
      element("div", { className: "row " + className }, ...list.map((one, index) => {
        const slot = make(one, index, list);
        slot.style.left = scale.x(one.began) + "px";
        if (one.kind === "audio") slot.style.width = one.seconds / scale.seconds * scale.width + "px";
        slots.set(one.id, slot);
        return slot;
      })));
    const section = element("section", { className: "lane", data: { anchor: name } }, element("h2", {}, name, element("small", {}, bytes(size))), ...rows);
    section.style.setProperty("--hue", (45 + number * 222.5) % 360);
    return section;
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const one of line.querySelectorAll(".lane")) one.hidden = !words.every(word => one.dataset.anchor.toLowerCase().includes(word));
  }
  search.addEventListener("input", filter);
  line.addEventListener("scroll", () => { following = line.scrollLeft + line.clientWidth >= line.scrollWidth - 40; }, { passive: true });

  function about({ task: known, slices }) {
    title.textContent = known ? "Room " + known.room : "Task that has ended";
    state.replaceChildren(known ? pill(known.state[0].toUpperCase() + known.state.slice(1), known.state === "running" ? "good" : "warn") : pill("Ended"));
    const hits = slices.filter(one => one.verdict && (one.verdict.suggest === "block" || one.verdict.suggest === "review")).length;
    const numbers = [[new Set(slices.map(one => one.anchor)).size, "anchor"], [slices.filter(one => one.kind === "video").length, "picture"],
      [slices.filter(one => one.kind === "audio").length, "audio slice"], [hits, "hit"], [slices.filter(one => one.state === "lost").length, "lost"]];
    facts.replaceChildren(...numbers.filter(([count, noun]) => count || (noun !== "hit" && noun !== "lost")).map(([count, noun]) =>
      element("span", {}, element("b", {}, String(count)), " " + (noun === "lost" || count === 1 ? noun : noun + "s"))),
      element("span", {}, "Task ", element("code", {}, task)));
    const troubles = [...tiles.values()].find(tile => tile.task === task)?.task_troubles ?? [];
    note.hidden = !troubles.length;
    note.textContent = troubles.map(one => one.what + ": " + one.detail).join("\n");
  }

  const stop = refreshed(place, () => get("tasks/" + encodeURIComponent(task)), answer => {
    found = answer;
    about(found);
    if (!found.slices.length) return place.replaceChildren(empty("No slice yet", "Pictures and audio appear here as they are made."));
    found.slices.sort((a, b) => a.began - b.began);
    scale = scaleOf(found.slices);
    slots = new Map();
    head = element("i", { className: "now", hidden: !playing });
    const [marks, grid] = axis(scale);
    grid.append(head);
    const lanes = [...Map.groupBy(found.slices, one => one.anchor)].sort(([a], [b]) => a.localeCompare(b));
    const canvas = element("div", { className: "canvas" }, marks, grid, ...lanes.map(([name, own], number) => lane(name, own, number)));
    canvas.style.minWidth = scale.width + 148 + "px";
    const left = line.scrollLeft;
    line.replaceChildren(canvas);
    if (!place.contains(line)) place.replaceChildren(line);
    filter();
    mark();
    line.scrollLeft = following ? line.scrollWidth : left;
  }, 4000);
  return () => { stop(); audio.pause(); };
}
