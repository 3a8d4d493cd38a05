// The wall: the newest picture of every anchor, hits first.
//
// A change of a tile is noted at once and drawn in the next frame, and only where it can be seen: a
// tile out of sight is made and drawn when it comes into sight. So the work of a frame is that of the
// tiles on the screen, however many there are, and of a tile only what differs is written. Pictures are
// decoded before they take the place of the last.
//
// While the page scrolls, what is on the screen is drawn anew once a second alone, and tiles that pass
// faster than anybody can look fetch no picture: they keep the one they have, with its age.
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
const FAST = 2; // screens a second from which on tiles pass too fast to be looked at
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

function write(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

function mark(place, name, value) {
  if (place.dataset[name] !== value) place.dataset[name] = value;
}

class Card {
  constructor(id) {
    this.id = id;
    this.tile = null;
    this.shown = false; // on the screen, or near it
    this.stale = true;
    this.wanted = "";
    this.missing = false; // the picture that is wanted did not come
    this.cuts = 0; // of the line, until it was there again
    this.taken = null; // when the picture that is shown was taken
    this.item = element("li", { className: "tile" });
    this.item.card = this;
    this.link = null;
  }

  // What is out of sight is not laid out, but for what has the keyboard's focus, which would lose it.
  show(shown) {
    this.shown = shown;
    if (this.link) this.link.hidden = !shown && document.activeElement !== this.link;
  }

  // What is in the item, made when it first comes into sight.
  make() {
    this.image = element("img", { alt: "", hidden: true, draggable: false });
    this.words = element("span");
    this.badge = element("em", { className: "pill", hidden: true });
    this.age = element("span", { className: "age", hidden: true });
    this.name = element("b");
    this.room = element("small");
    this.late = element("small", { className: "late", title: "From when the picture was taken until its file was ready" });
    this.voiceText = element("span");
    this.voiceIcon = null;
    this.voice = element("span", { className: "voice" }, this.voiceText);
    this.trouble = element("span", { className: "trouble" });
    this.link = element("a", {},
      element("div", { className: "shot" }, this.words, this.image, this.badge, this.age),
      element("div", { className: "who" }, this.name, this.voice, this.room, this.late, this.trouble));
    this.item.append(this.link);
  }

  draw(picture) {
    if (!this.link) this.make();
    const { tile } = this;
    this.stale = false;
    const href = "#/task/" + encodeURIComponent(tile.task) + "/" + encodeURIComponent(tile.anchor);
    if (this.href !== href) this.link.href = this.href = href;
    write(this.name, tile.anchor);
    const title = tile.anchor + " in room " + (tile.room || "–");
    if (this.link.title !== title) this.link.title = title;
    write(this.room, tile.room ? "Room " + tile.room : "");
    const hit = isHit(tile) ? tile.hit : null;
    mark(this.item, "hit", hit ? hit.suggest : "");
    const verdict = hit ?? tile.verdict;
    this.badge.hidden = !verdict;
    if (verdict) {
      write(this.badge, verdictText(verdict));
      mark(this.badge, "tone", TONES[verdict.suggest]);
      if (this.badge.title !== verdict.text) this.badge.title = verdict.text;
    }
    this.drawVoice();
    write(this.late, tile.taken === null ? "" : "+" + tile.late.toFixed(1) + " s");
    mark(this.late, "tone", tile.late > LATE ? "warn" : "");
    const words = trouble(tile), details = [...tile.task_troubles.map(one => one.detail), words].join("\n");
    write(this.trouble, words);
    if (this.trouble.title !== details) this.trouble.title = details;
    if (picture || !tile.picture) this.drawPicture();
    else if (this.wanted !== tile.picture) this.stale = true;
    this.drawAge();
  }

  drawVoice() {
    const { tile } = this;
    const [text, name, heard] = !tile.audio ? ["No audio", "mute", ""] : tile.heard === null ? ["Audio", "voice", ""] :
      tile.heard ? ["Speaking", "voice", "yes"] : ["Silent", "mute", "no"];
    if (this.voiceText.textContent === text) return;
    const drawn = icon(name);
    if (this.voiceIcon) this.voiceIcon.replaceWith(drawn);
    else this.voice.prepend(drawn);
    this.voiceIcon = drawn;
    this.voiceText.textContent = this.voice.title = text;
    this.voice.setAttribute("aria-label", text);
    this.voice.dataset.heard = heard;
  }

  drawAge() {
    this.age.hidden = this.taken === null;
    if (this.taken === null) return;
    const seconds = (Date.now() - this.taken) / 1000;
    write(this.age, seconds < 1 ? "now" : duration(seconds) + " ago");
    mark(this.age, "tone", seconds > OLD ? "warn" : "");
  }

  // The line is there again: what did not come while it was cut may come now.
  again() {
    this.cuts += 1;
    if (this.missing) this.wanted = "";
  }

  async drawPicture() {
    const { picture: id, taken } = this.tile;
    if (!id) {
      this.wanted = "";
      this.image.hidden = true;
      this.taken = null;
      write(this.words, this.tile.video ? "No picture yet" : "No video");
      return;
    }
    if (this.wanted === id) return;
    this.wanted = id;
    const next = new Image(), { cuts } = this;
    next.src = mediaUrl(id);
    const missing = await next.decode().then(() => false, () => true);
    if (this.wanted !== id) return;
    if (missing && cuts !== this.cuts) { // it failed with the line, but later than that came back
      this.wanted = "";
      this.stale = true;
      return;
    }
    this.missing = missing;
    this.taken = taken;
    if (missing) {
      this.image.hidden = true;
      write(this.words, "Not kept here");
    } else {
      next.alt = "Newest picture of " + this.tile.anchor;
      next.draggable = false;
      this.image.replaceWith(next);
      this.image = next;
    }
    this.drawAge();
  }
}

export function wall(main) {
  const cards = new Map(), dirty = new Set();
  let filter = "all", words = [], frame = 0, rest = 0, sorting = true, waitingSort = 0, counted = false;
  let reorder = false, ordered = 0; // reorder: tiles have come, gone or changed their rank
  let scrolled = -Infinity, from = scrollY, fast = false;
  const list = element("ul", { className: "wall", "aria-label": "Anchors" });
  const output = element("output");
  const nothing = element("div");
  const search = element("input", { type: "search", placeholder: "Filter by name or room", "aria-label": "Filter by name or room" });
  const chips = FILTERS.map(([key, name]) => element("button", { type: "button", "aria-pressed": key === filter, data: { key, tone: key === "hits" ? "bad" : "" },
    onclick: () => { filter = key; sorting = true; counted = false; schedule(); } }, name + " ", element("b")));
  main.replaceChildren(
    element("h1", { className: "skip" }, "Wall"),
    element("form", { className: "tools", role: "search", onsubmit: event => event.preventDefault() },
      search, element("div", { className: "chips", role: "group", "aria-label": "Show" }, ...chips), output),
    list, nothing);

  let visible = new Set(), wide = 1, top = 0, pitch = 1; // columns, and pixels from the page's top and from row to row

  // How the tiles are laid out: asked of the browser after it has laid them out anew, not while it scrolls.
  function measure() {
    const items = list.children;
    if (!items.length) return;
    wide = getComputedStyle(list).gridTemplateColumns.split(" ").length;
    const first = items[0].getBoundingClientRect();
    top = first.top + scrollY;
    pitch = items.length > wide ? items[wide].getBoundingClientRect().top - first.top : first.height;
  }

  // Which tiles are on the screen, or near it.
  function look() {
    const items = list.children, now = new Set(), above = top - scrollY;
    const first = Math.max(0, Math.floor((-NEAR - above) / pitch)) * wide, end = Math.ceil((innerHeight + NEAR - above) / pitch) * wide;
    for (let index = first; index < Math.min(end, items.length); index++) now.add(items[index].card);
    for (const card of visible) if (!now.has(card)) card.show(false);
    for (const card of now) {
      if (card.shown) continue;
      card.show(true);
      if (card.stale) dirty.add(card);
    }
    visible = now;
    if (dirty.size) schedule();
  }

  // Have every tile that is on the screen drawn that has changed.
  function catchUp() {
    for (const card of visible) if (card.stale) dirty.add(card);
    if (dirty.size || reorder || !counted) schedule();
  }

  function scrolls() {
    return performance.now() - scrolled < SCROLLED;
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
    counted = false;
    if (card.shown && !scrolls()) dirty.add(card);
  }

  function draw() {
    frame = 0;
    const now = performance.now();
    if (sorting || (reorder && now - ordered > SETTLED && !scrolls())) {
      ordered = now;
      sort();
      measure();
      look();
    }
    const pictures = !fast || !scrolls();
    for (const card of dirty) if (card.shown && card.stale) card.draw(pictures);
    dirty.clear();
    if (!counted && !scrolls()) counts();
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
    counted = true;
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
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -wide, ArrowDown: wide }[event.key];
    if (!item || !step || event.ctrlKey || event.metaKey || event.altKey) return;
    const items = [...list.children], next = items[items.indexOf(item) + step];
    if (!next) return;
    event.preventDefault();
    if (!next.card.link) next.card.draw(true);
    next.card.link.hidden = false;
    next.card.link.focus();
    next.scrollIntoView({ block: "nearest" });
  });

  const stop = listen(change => {
    if (change.tasks && !cards.size) sorting = true;
    if (change.whole) {
      for (const id of cards.keys()) if (!tiles.has(id)) cards.delete(id);
      for (const card of cards.values()) card.again();
      sorting = true;
      counted = false;
    }
    for (const id of change.gone ?? []) {
      if (cards.delete(id)) { reorder = true; counted = false; }
    }
    for (const tile of change.tiles ?? []) take(tile);
    schedule();
  });
  const ages = setInterval(() => {
    for (const card of visible) if (!card.stale) card.drawAge();
    catchUp();
    // What is filtered by time or by what anchors do is looked at now and then.
    if (filter !== "all" || ++waitingSort % 10 === 0) { sorting = true; counted = false; schedule(); }
  }, 1000);
  const onRest = () => {
    rest = 0;
    if (scrolls()) rest = setTimeout(onRest, SCROLLED);
    else catchUp();
  };
  const onScroll = () => {
    const now = performance.now();
    fast = Math.abs(scrollY - from) * 1000 > FAST * innerHeight * Math.max(1, now - scrolled);
    scrolled = now;
    from = scrollY;
    if (!rest) rest = setTimeout(onRest, SCROLLED);
    look();
  };
  const onResize = () => { measure(); look(); };
  addEventListener("scroll", onScroll, { passive: true });
  addEventListener("resize", onResize);
  for (const tile of tiles.values()) take(tile);
  schedule();
  return () => {
    stop();
    removeEventListener("scroll", onScroll);
    removeEventListener("resize", onResize);
    clearInterval(ages);
    clearTimeout(rest);
    cancelAnimationFrame(frame);
  };
}
