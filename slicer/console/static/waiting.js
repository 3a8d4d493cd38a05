// What waits and why, to be tried again or dropped.

import { confirmed, element, empty, pill, sub, table, toast } from "./dom.js";
import { bytes, counted, duration, moment } from "./format.js";
import { get, post } from "./api.js";
import { refreshed } from "./refresh.js";

const PHASES = { making: "Being made", waiting: "Waits for the store", judging: "Waits for its verdict", ready: "Waits for the store",
  uploading: "Being stored", backoff: "Failed, is tried again" };
const DROPPABLE = ["waiting", "judging", "ready", "backoff"];

export function waiting(main) {
  const place = element("div", {}, empty("Loading…"));
  const words = element("p");
  main.replaceChildren(element("div", { className: "head" }, element("h1", {}, "Waiting"), words), place);

  async function act(button, path, body, done) {
    button.disabled = true;
    try {
      toast(done(await post(path, body)));
    } catch (error) {
      toast(error.message);
    }
    button.blur();
    button.disabled = false;
    stop.now();
  }

  function again(what) {
    return element("button", { type: "button", className: "end", onclick: event => act(event.currentTarget, "again", { what },
      found => found.count ? counted(found.count, what === "slices" ? "slice" : "callback") + " will be tried now" : "Nothing waits") }, "Try again now");
  }

  function drop(what, id, name) {
    return element("button", { type: "button", className: "danger", "aria-label": "Drop " + name, onclick: async event => {
      const button = event.currentTarget;
      const text = what === "slice" ? name + " will never be stored. Its task is told that it is lost." : "The receiver will never get it. Those behind it go on.";
      if (await confirmed("Drop this " + what + "?", text, "Drop it")) act(button, "drop", { what, id }, () => "Dropped");
      else button.blur();
    } }, "Drop");
  }

  function slices(list) {
    const columns = [{ name: "Slice", className: "wide" }, { name: "Why", className: "long" }, { name: "Store", className: "long" }, { name: "Size", className: "number" }, { name: "Tries", className: "number" }, { name: "", className: "act" }];
    return table("Slices", columns, list.map(one => {
      const name = one.key.split("/").pop();
      return [[name, sub("Task " + one.task + (one.spooled ? " · on the disk" : " · in memory"))],
        [pill(PHASES[one.phase] ?? one.phase, one.phase === "backoff" ? "bad" : one.failures ? "warn" : ""), one.reason && sub(one.reason)],
        one.store, bytes(one.size), String(one.failures), DROPPABLE.includes(one.phase) ? drop("slice", one.key, name) : ""];
    }));
  }

  function callbacks(list) {
    const columns = [{ name: "Callback", className: "wide" }, { name: "Why", className: "long" }, { name: "Since" }, { name: "Next try" }, { name: "Tries", className: "number" }, { name: "", className: "act" }];
    return table("Callbacks", columns, list.map(one => {
      const why = one.outcome === "given_up" ? pill("Given up", "bad") : one.due === null ? pill("Waits for the one before") : one.tries ? pill("Failed, is tried again", "warn") : pill("On its way");
      const next = one.outcome === "given_up" || one.due === null ? "–" : one.due <= Date.now() ? "now" : "in " + duration((one.due - Date.now()) / 1000);
      return [["Event " + one.event, sub("Application " + one.app + " · task " + one.line)], [why, one.reason && sub(one.reason)],
        moment(one.since), next, String(one.tries), one.outcome === "waiting" ? drop("callback", one.id, "event " + one.event) : ""];
    }));
  }

  function card(title, count, what, content) {
    return element("section", { className: "card" }, element("header", {}, element("h2", {}, title), count > 0 && pill(String(count)), count > 0 && again(what)), content);
  }

  const stop = refreshed(place, () => get("waiting"), found => {
    const sum = found.slices.length + found.callbacks.length;
    words.textContent = sum ? "" : "Nothing waits";
    const given = found.callbacks.filter(one => one.outcome === "given_up").length;
    place.replaceChildren(
      card("Slices for stores and verdicts", found.slices.length, "slices", found.slices.length ? slices(found.slices) : empty("No slice waits", "Every slice that was cut is stored or lost.")),
      card(given ? "Callbacks that wait or are given up" : "Callbacks", found.callbacks.length, "callbacks", found.callbacks.length ? callbacks(found.callbacks) : empty("No callback waits", "Every receiver has heard everything.")));
  });
  return stop;
}
