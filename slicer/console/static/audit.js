// Who did what.

import { element, empty, sub, table } from "./dom.js";
import { moment } from "./format.js";
import { get } from "./api.js";
import { refreshed } from "./refresh.js";

const COLUMNS = [{ name: "What", className: "wide" }, { name: "Who" }, { name: "When" }];

export function audit(main) {
  const place = element("div", { className: "card" }, empty("Loading…"));
  main.replaceChildren(element("div", { className: "head" }, element("h1", {}, "Audit"), element("p", {}, "What was done in this console, newest first")), place);
  return refreshed(place, () => get("audit"), entries => place.replaceChildren(entries.length
    ? table("Audit", COLUMNS, entries.map(one => [[one.what[0].toUpperCase() + one.what.slice(1), one.detail && sub(one.detail)], one.who, moment(one.at)]))
    : empty("Nothing was done yet")));
}
