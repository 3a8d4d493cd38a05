// Rooms and tasks as they are now.

import { element, empty, pill, sub, table } from "./dom.js";
import { counted, duration, moment } from "./format.js";
import { get, isFleet } from "./api.js";
import { consoles, workerLink } from "./fleet.js";
import { listen, tasks } from "./live.js";

const STATES = { running: "good", waiting: "bad", reconnecting: "warn", ended: "" };
const PRODUCTS = { slice: "Slices", moderation: "Moderation", live: "Live stream" };
const COLUMNS = [
  { name: "Room", className: "wide" }, { name: "State" }, { name: "Kind" }, { name: "Anchors", className: "number" },
  { name: "Stored", className: "number" }, { name: "Waiting", className: "number" }, { name: "Lost", className: "number" }, { name: "Since" },
];

const COLUMNS_OF_FLEET = [{ name: "Room", className: "wide" }, { name: "State" }, { name: "Worker" }, { name: "Kind" }, { name: "Since" }];

// A task of a fleet: what it cuts is shown by the console of its worker.
function rowOfFleet(task) {
  const path = "#/task/" + encodeURIComponent(task.task), waits = task.unowned !== null && sub("for " + duration(task.unowned));
  return [
    ["Room " + task.room, sub("Application " + task.app + " · robot " + task.user)],
    [pill(task.unowned === null ? "Running" : "Waiting for a worker", STATES[task.state] ?? ""), waits],
    task.worker ? workerLink(task.worker, path) : "–", PRODUCTS[task.product] ?? task.product,
    [moment(task.created), sub(duration((Date.now() - task.created) / 1000))],
  ];
}

export function taskList(main) {
  const place = element("div", { className: "card" });
  const words = element("p");
  main.replaceChildren(element("div", { className: "head" }, element("h1", {}, "Tasks"), words), place);

  function row(task) {
    const room = element("a", { href: "#/task/" + encodeURIComponent(task.task) }, "Room " + task.room);
    const cut = task.anchors === undefined ? "" : counted(task.audio, "audio") + ", " + task.video + " video";
    return [
      [room, sub("Application " + task.app + " · robot " + task.user)],
      pill(task.state[0].toUpperCase() + task.state.slice(1), STATES[task.state] ?? ""),
      PRODUCTS[task.product] ?? task.product,
      task.anchors === undefined ? "–" : [String(task.anchors), sub(cut.replace("audios", "audio"))],
      String(task.stored ?? "–"),
      String(task.pending ?? "–"),
      task.lost ? pill(String(task.lost), "bad") : String(task.lost ?? "–"),
      [moment(task.created), sub(duration((Date.now() - task.created) / 1000))],
    ];
  }

  function draw() {
    if (tasks === null) return place.replaceChildren(empty("Loading…"));
    const rooms = new Set(tasks.map(task => task.app + " " + task.room)).size;
    words.textContent = tasks.length ? counted(tasks.length, "task") + " in " + counted(rooms, "room") : "";
    place.replaceChildren(tasks.length ? isFleet ? table("Tasks", COLUMNS_OF_FLEET, tasks.map(rowOfFleet)) : table("Tasks", COLUMNS, tasks.map(row)) : empty("No task runs", "Order one by the API; it appears here."));
  }

  draw();
  if (isFleet) get("fleet").then(found => {
    for (const one of found.workers) if (one.console) consoles.set(one.name, one.console);
    draw();
  }, () => {});
  return listen(change => { if (change.tasks && !place.contains(document.activeElement)) draw(); });
}
