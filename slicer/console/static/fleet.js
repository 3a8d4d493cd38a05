// The workers of a fleet, what waits for one, and where each one's own console is.

import { element, empty, pill, sub, table } from "./dom.js";
import { counted, duration } from "./format.js";
import { get } from "./api.js";
import { refreshed } from "./refresh.js";

const STATES = { working: ["Working", "good"], draining: ["Draining", "warn"], silent: ["Not heard", "bad"] };
const COLUMNS = [
  { name: "Worker", className: "wide" }, { name: "State" }, { name: "Zone" }, { name: "Load", className: "number" },
  { name: "Tasks", className: "number" }, { name: "Orders waiting", className: "number" },
];

// Addresses that workers have announced, by their names.
export const consoles = new Map();

// A link into a worker's own console, on a page of its own; its name alone where it has none.
export function workerLink(name, path = "") {
  const address = consoles.get(name);
  if (!address) return name;
  return element("a", { href: address + "/console/" + path, target: "_blank", rel: "noopener noreferrer" }, name);
}

function row(one) {
  const [word, tone] = STATES[one.state];
  const silent = one.state === "silent" ? sub("for " + duration(one.silence)) : null;
  return [
    [workerLink(one.name), one.version && sub("Version " + one.version)], [pill(word, tone), silent], one.zone || "–",
    Math.round(one.load * 100) + " %", one.capacity ? one.tasks + " of " + one.capacity : String(one.tasks),
    one.orders ? pill(String(one.orders), "warn") : "0",
  ];
}

function facts(found) {
  const columns = [{ name: "Waiting for", className: "wide" }, { name: "State" }, { name: "How many", className: "number" }];
  const unowned = found.unowned ? pill("For " + duration(found.longest) + " at most", "bad") : pill("None", "good");
  const callbacks = found.callbacks === null ? "?" : found.callbacks.toLocaleString("en");
  return table("What waits", columns, [
    ["Tasks: a worker that lives", unowned, String(found.unowned)],
    ["Callbacks: the applications' URLs", pill(found.bus ? "The bus is there" : "The bus is away", found.bus ? "good" : "bad"), callbacks],
  ]);
}

export function fleet(main) {
  const place = element("div", {}, empty("Loading…"));
  const words = element("p");
  main.replaceChildren(element("div", { className: "head" }, element("h1", {}, "Fleet"), words), place);
  return refreshed(place, () => get("fleet"), found => {
    consoles.clear();
    for (const one of found.workers) if (one.console) consoles.set(one.name, one.console);
    words.textContent = counted(found.workers.length, "worker") + ", " + counted(found.tasks, "task");
    place.replaceChildren(
      element("section", { className: "card" }, found.workers.length
        ? table("Workers", COLUMNS, found.workers.map(row)) : empty("No worker is heard", "slicer worker --fleet starts one.")),
      element("section", { className: "card" }, element("header", {}, element("h2", {}, "What waits")), facts(found)),
      element("p", { className: "empty" }, element("b", {}, "Pictures, slices, stores and suppliers are at the workers"),
        consoles.size ? "Each worker's name leads to its own console." : "A worker with console.listen and fleet.console has a console of its own."));
  });
}
