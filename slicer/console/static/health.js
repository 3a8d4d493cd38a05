// Stores, suppliers, the spool and callbacks: whether they work, and how much waits for them.

import { element, empty, pill, sub, table } from "./dom.js";
import { bytes } from "./format.js";
import { get } from "./api.js";
import { refreshed } from "./refresh.js";

function state(one) {
  if (one.failing) return pill("Failing: left alone", "bad");
  return one.reason ? pill("Trouble", "warn") : pill("Works", "good");
}

function card(title, content) {
  return element("section", { className: "card" }, element("header", {}, element("h2", {}, title)), content);
}

function stores(list) {
  const columns = [{ name: "Store", className: "wide" }, { name: "State" }, { name: "Waiting", className: "number" }, { name: "Memory", className: "number" },
    { name: "Stored", className: "number" }, { name: "Given up", className: "number" }];
  return table("Stores", columns, list.map(one => [
    [one.label + (one.backup ? " (backup)" : ""), one.reason && sub(one.reason)], state(one), String(one.held), bytes(one.memory),
    one.stored.toLocaleString("en"), one.dropped ? pill(String(one.dropped), "bad") : "0"]));
}

function suppliers(list) {
  const columns = [{ name: "Supplier", className: "wide" }, { name: "State" }, { name: "Waiting", className: "number" }, { name: "Judged", className: "number" },
    { name: "Hits", className: "number" }, { name: "Not judged", className: "number" }];
  return table("Suppliers", columns, list.map(one => [
    [one.label, one.reason && sub(one.reason)], state(one), String(one.waiting), one.judged.toLocaleString("en"), one.hits.toLocaleString("en"),
    one.unjudged ? pill(String(one.unjudged), "warn") : "0"]));
}

function spool(one) {
  const columns = [{ name: "Spool", className: "wide" }, { name: "State" }, { name: "Slices", className: "number" }, { name: "Size", className: "number" },
    { name: "Disk failures", className: "number" }, { name: "Damaged", className: "number" }];
  const works = one.failures || one.damaged ? pill("Had trouble", "warn") : pill("Works", "good");
  return table("Spool", columns, [["On this disk", works, String(one.slices), bytes(one.bytes), String(one.failures), String(one.damaged)]]);
}

function callbacks(counts) {
  const columns = [{ name: "Callbacks", className: "wide" }, { name: "State" }, { name: "Waiting", className: "number" }, { name: "Delivered", className: "number" },
    { name: "Failed tries", className: "number" }, { name: "Given up", className: "number" }];
  const works = counts.given_up ? pill("Some given up", "warn") : counts.waiting > 100 ? pill("Behind", "warn") : pill("Works", "good");
  return table("Callbacks", columns, [["To the applications' URLs", works, String(counts.waiting), String(counts.delivered), String(counts.failed),
    counts.given_up ? pill(String(counts.given_up), "bad") : "0"]]);
}

export function health(main) {
  const place = element("div", {}, empty("Loading…"));
  const words = element("p");
  main.replaceChildren(element("div", { className: "head" }, element("h1", {}, "Health"), words), place);
  return refreshed(place, () => get("health"), found => {
    const failing = [...found.stores, ...found.suppliers].filter(one => one.failing).length;
    words.textContent = failing ? failing + (failing === 1 ? " store or supplier fails" : " stores and suppliers fail") : "Everything outside works";
    place.replaceChildren(
      card("Stores", found.stores.length ? stores(found.stores) : empty("No store is open", "A store is opened by the first task that names it.")),
      card("Suppliers of verdicts", found.suppliers.length ? suppliers(found.suppliers) : empty("No supplier is asked", "Moderation tasks name one.")),
      card("Spool", found.spool ? spool(found.spool) : empty("There is none", "Slices wait in memory alone, and a crash costs them. [spool] folder names one.")),
      card("Callbacks", callbacks(found.callbacks)));
  });
}
