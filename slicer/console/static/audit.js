// Who did what.

import { element, empty, sub, table } from "./dom.js";
import { moment } from "./format.js";
import { get } from "./api.js";
import { refreshed } from "./refresh.js";

const COLUMNS = [{ name: "What", className: "wide" }, { name: "Who" }, { name: "When" }];
const KINDS = [["", "All"], ["operator", "Console"], ["api", "API"], ["refused", "Refused"]];

export function audit(main) {
  let kind = "", entries = null;
  const place = element("div", { className: "card" }, empty("Loading…"));
  const chips = KINDS.map(([key, name]) => element("button", { type: "button", "aria-pressed": String(key === kind), data: { key },
    onclick: () => { kind = key; draw(); } }, name));
  main.replaceChildren(
    element("div", { className: "head" }, element("h1", {}, "Audit"), element("p", {}, "Who did what, newest first")),
    element("div", { className: "chips head", role: "group", "aria-label": "Show" }, ...chips), place);

  function draw() {
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.dataset.key === kind));
    if (entries === null) return;
    const shown = entries.filter(one => !kind || one.kind === kind);
    place.replaceChildren(shown.length
      ? table("Audit", COLUMNS, shown.map(one => [[one.what[0].toUpperCase() + one.what.slice(1), one.detail && sub(one.detail)], one.who, moment(one.at)]))
      : empty(kind ? "Nothing of this kind" : "Nothing was done yet"));
  }

  return refreshed(place, () => get("audit"), found => { entries = found; draw(); });
}
