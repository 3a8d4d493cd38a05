// Rooms and tasks as they are now.

import { element, empty, pill, sub, table } from "./dom.js";
import { counted, duration, moment } from "./format.js";
import { listen, tasks } from "./live.js";

const STATES = { running: "good", reconnecting: "warn", ended: "" };
const PRODUCTS = { slice: "Slices", moderation: "Moderation", live: "Live stream" };
const COLUMNS = [
  { name: "Room", className: "wide" }, { name: "State" }, { name: "Kind" }, { name: "Anchors", className: "number" },
  { name: "Stored", className: "number" }, { name: "Waiting", className: "number" }, { name: "Lost", className: "number" }, { name: "Since" },
];

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
    place.replaceChildren(tasks.length ? table("Tasks", COLUMNS, tasks.map(row)) : empty("No task runs", "Order one by the API; it appears here."));
  }

  draw();
  return listen(change => { if (change.tasks && !place.contains(document.activeElement)) draw(); });
}
