// The wall: the newest picture of every anchor, hits first.
//
// A change of a tile is noted at once and drawn in the next frame, and only where it can be seen: a
// tile out of sight is drawn when it comes into sight. So the work of a frame is that of the tiles
// on the screen, however many there are. Pictures are decoded before they take the place of the last.
//
// All tiles are of one size, so which of them can be seen is two divisions. Neither the browser's
// content-visibility nor an IntersectionObserver: with the first, each row that comes into sight is
// painted anew while it scrolls, and a frame waits for that; the second asks all tiles in each frame.

import { element, empty, icon } from "./dom.js";
import { duration, TONES, verdictText } from "./format.js";
import { mediaUrl } from "./api.js";
import { listen, tasks, tiles } from "./live.js";

const HIT_SECONDS = 600; // for which a hit keeps its anchor in front
const SETTLED = 1000; // milliseconds between two orders at least: each lays the whole wall out
const SCROLLED = 300; // milliseconds after a scroll in which no tile jumps from under the eye
const LATE = 2; // seconds from which a picture is late: as the engine counts it
const NEAR = 300; // pixels beyond the screen in which tiles are drawn
const OLD = 60; // seconds after which a picture is said to be old
const FILTERS = [
  ["all", "All", () => true],
  ["hits", "Hits", tile => isHit(tile)],
  ["heard", "Speaking", tile => tile.heard === true],
  ["trouble", "Trouble", tile => Boolean(trouble(tile))],
];

// Why a tile is in Trouble, in words; nothing where it is not.
function trouble(tile) {
  if (tile.waits) return "Waits: the task is full";
  const words = new Set([...tile.task_troubles.map(one => one.what), tile.trouble].filter(Boolean));
  return [...words].join(" · ") || (tile.late > LATE ? "Picture ready " + tile.late.toFixed(1) + " s late" : "");
}

function isHit(tile) {
  return tile.hit !== null && Date.now() - tile.hit.at < HIT_SECONDS * 1000;
}

function rank(tile) {
  if (!isHit(tile)) return 2;
  return tile.hit.suggest === "block" ? 0 : 1;
}

function order(a, b) {
  return rank(a) - rank(b) || a.room.localeCompare(b.room) || a.anchor.localeCompare(b.anchor) || (a.id < b.id ? -1 : 1);
}

class Card {
  constructor(id) {
    this.id = id;
    this.tile = null;
    this.shown = false; // on the screen, or near it
    this.stale = true;
    this.wanted = "";
    this.image = element("img", { alt: "", hidden: true, draggable: false });
    this.words = element("span");
    this.badge = element("em", { className: "pill", hidden: true });
    this.age = element("span", { className: "age", hidden: true });
    this.name = element("b");
    this.room = element("small");
    this.late = element("small", { className: "late" });
    this.voiceIcon = icon("voice");
    this.voiceText = element("span");
    this.voice = element("span", { className: "voice" }, this.voiceIcon, this.voiceText);
    this.trouble = element("span", { className: "trouble" });
    this.link = element("a", {},
      element("div", { className: "shot" }, this.words, this.image, this.badge, this.age),
      element("div", { className: "who" }, this.name, this.voice, this.room, this.late, this.trouble));
    this.item = element("li", { className: "tile" }, this.link);
    this.item.card = this;
  }

  draw() {
    const { tile } = this;
    this.stale = false;
    this.link.href = "#/task/" + encodeURIComponent(tile.task) + "/" + encodeURIComponent(tile.anchor);
    this.name.textContent = tile.anchor;
    this.link.title = tile.anchor + " in room " + (tile.room || "–");
    this.room.textContent = tile.room ? "Room " + tile.room : "";
    const hit = isHit(tile) ? tile.hit : null;
    this.item.dataset.hit = hit ? hit.suggest : "";
    const verdict = hit ?? tile.verdict;
    this.badge.hidden = !verdict;
    if (verdict) {
      this.badge.textContent = verdictText(verdict);
      this.badge.dataset.tone = TONES[verdict.suggest];
      this.badge.title = verdict.text;
    }
    const voice = !tile.audio ? ["No audio", "mute", ""] : tile.heard === null ? ["Audio", "voice", ""] :
      tile.heard ? ["Speaking", "voice", "yes"] : ["Silent", "mute", "no"];
    this.voiceText.textContent = voice[0];
    this.voice.title = voice[0];
    this.voice.setAttribute("aria-label", voice[0]);
    this.voice.dataset.heard = voice[2];
    this.voiceIcon.firstChild.setAttribute("d", icon(voice[1]).firstChild.getAttribute("d"));
    this.late.textContent = tile.taken === null ? "" : "+" + tile.late.toFixed(1) + " s";
    this.late.title = "From when the picture was taken until its file was ready";
    this.late.dataset.tone = tile.late > LATE ? "warn" : "";
    this.trouble.textContent = trouble(tile);
    this.trouble.title = [...tile.task_troubles.map(one => one.detail), this.trouble.textContent].join("\n");
    this.drawAge();
    this.drawPicture();
  }

  drawAge() {
    const { taken } = this.tile;
    this.age.hidden = taken === null;
    if (taken === null) return;
    const seconds = (Date.now() - taken) / 1000;
    const text = seconds < 1 ? "now" : duration(seconds) + " ago";
    if (this.age.textContent !== text) this.age.textContent = text;
    this.age.dataset.tone = seconds > OLD ? "warn" : "";
  }

  async drawPicture() {
    const id = this.tile.picture;
    if (!id) {
      this.image.hidden = true;
      this.words.textContent = this.tile.video ? "No picture yet" : "No video";
      return;
    }
    if (this.wanted === id) return;
    this.wanted = id;
    const next = new Image();
    next.src = mediaUrl(id);
    try {
      await next.decode();
    } catch {
      if (this.wanted !== id) return;
      this.image.hidden = true;
      this.words.textContent = "Not kept here";
      return;
    }
    if (this.wanted !== id) return;
    next.alt = "Newest picture of " + this.tile.anchor;
    next.draggable = false;
    this.image.replaceWith(next);
    this.image = next;
  }
}

export function wall(main) {
  const cards = new Map(), dirty = new Set();
  let filter = "all", words = [], frame = 0, sorting = true, waitingSort = 0;
  let reorder = false, ordered = 0, scrolled = 0; // reorder: tiles have come, gone or changed their rank
  const list = element("ul", { className: "wall", "aria-label": "Anchors" });
  const output = element("output");
  const nothing = element("div");
  const search = element("input", { type: "search", placeholder: "Filter by name or room", "aria-label": "Filter by name or room" });
  const chips = FILTERS.map(([key, name]) => element("button", { type: "button", "aria-pressed": key === filter, data: { key, tone: key === "hits" ? "bad" : "" },
    onclick: () => { filter = key; sorting = true; schedule(); } }, name + " ", element("b")));
  main.replaceChildren(
    element("h1", { className: "skip" }, "Wall"),
    element("form", { className: "tools", role: "search", onsubmit: event => event.preventDefault() },
      search, element("div", { className: "chips", role: "group", "aria-label": "Show" }, ...chips), output),
    list, nothing);

  let visible = new Set();

  function columns() {
    return getComputedStyle(list).gridTemplateColumns.split(" ").length;
  }

  // Which tiles are on the screen, or near it.
  function look() {
    const items = list.children, now = new Set();
    if (items.length) {
      const wide = columns(), { top, height } = items[0].getBoundingClientRect();
      const pitch = items.length > wide ? items[wide].getBoundingClientRect().top - top : height;
      const first = Math.max(0, Math.floor((-NEAR - top) / pitch)) * wide, end = Math.ceil((innerHeight + NEAR - top) / pitch) * wide;
      for (let index = first; index < Math.min(end, items.length); index++) now.add(items[index].card);
    }
    for (const card of visible) if (!now.has(card)) card.shown = false;
    for (const card of now) {
      card.shown = true;
      if (card.stale) dirty.add(card);
    }
    visible = now;
    if (dirty.size) schedule();
  }

  function schedule() {
    if (!frame) frame = requestAnimationFrame(draw);
  }

  function take(tile) {
    let card = cards.get(tile.id);
    if (!card) cards.set(tile.id, card = new Card(tile.id));
    if (!card.tile || rank(card.tile) !== rank(tile) || card.tile.room !== tile.room) reorder = true;
    card.tile = tile;
    card.stale = true;
    if (card.shown) dirty.add(card);
  }

  function draw() {
    frame = 0;
    const now = performance.now();
    if (sorting || (reorder && now - ordered > SETTLED && now - scrolled > SCROLLED)) {
      ordered = now;
      sort();
      look();
    }
    for (const card of dirty) if (card.shown && card.stale) card.draw();
    dirty.clear();
    counts();
  }

  function passes(tile) {
    const text = (tile.anchor + " " + tile.room).toLowerCase();
    return FILTERS.find(([key]) => key === filter)[2](tile) && words.every(word => text.includes(word));
  }

  // Put the items into their order with as few moves as it takes.
  function sort() {
    sorting = reorder = false;
    const wanted = [...cards.values()].filter(card => passes(card.tile)).sort((a, b) => order(a.tile, b.tile));
    const kept = new Set(wanted);
    for (const item of [...list.children]) if (!kept.has(item.card)) item.remove();
    let at = list.firstElementChild;
    for (const { item } of wanted) {
      if (item === at) at = at.nextElementSibling;
      else list.insertBefore(item, at);
    }
    output.textContent = wanted.length === cards.size ? "" : wanted.length + " of " + cards.size + " anchors";
    nothing.replaceChildren(...(wanted.length ? [] : [none()]));
  }

  function none() {
    if (cards.size) return empty("No anchor fits", "Change the filter to see the others.");
    if (tasks === null) return empty("Loading…");
    return tasks.length ? empty("Nobody is on the air", "Anchors appear here as soon as their media is cut.")
      : empty("No task runs", "Order one by the API; its anchors appear here.");
  }

  function counts() {
    const all = [...cards.values()];
    chips.forEach((chip, index) => {
      chip.setAttribute("aria-pressed", chip.dataset.key === filter);
      const count = String(all.filter(card => FILTERS[index][2](card.tile)).length);
      if (chip.lastChild.textContent !== count) chip.lastChild.textContent = count;
    });
  }

  search.addEventListener("input", () => {
    words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    sorting = true;
    schedule();
  });

  // Arrows walk the wall as it is laid out.
  list.addEventListener("keydown", event => {
    const item = event.target.closest("li");
    const wide = columns(), step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -wide, ArrowDown: wide }[event.key];
    if (!item || !step || event.ctrlKey || event.metaKey || event.altKey) return;
    const items = [...list.children], next = items[items.indexOf(item) + step];
    if (!next) return;
    event.preventDefault();
    next.card.link.focus();
    next.scrollIntoView({ block: "nearest" });
  });

  const stop = listen(change => {
    if (change.tasks && !cards.size) sorting = true;
    if (change.whole) {
      for (const id of cards.keys()) if (!tiles.has(id)) cards.delete(id);
      sorting = true;
    }
    for (const id of change.gone ?? []) {
      if (cards.delete(id)) reorder = true;
    }
    for (const tile of change.tiles ?? []) take(tile);
    schedule();
  });
  const ages = setInterval(() => {
    for (const card of cards.values()) if (card.shown && !card.stale) card.drawAge();
    if (reorder) schedule();
    // What is filtered by time or by what anchors do is looked at now and then.
    if (filter !== "all" || ++waitingSort % 10 === 0) { sorting = true; schedule(); }
  }, 1000);
  const onScroll = () => { scrolled = performance.now(); look(); };
  addEventListener("scroll", onScroll, { passive: true });
  addEventListener("resize", look);
  for (const tile of tiles.values()) take(tile);
  schedule();
  return () => { stop(); removeEventListener("scroll", onScroll); removeEventListener("resize", look); clearInterval(ages); cancelAnimationFrame(frame); };
}
