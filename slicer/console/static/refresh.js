// A page that asks for its data now and then, while it can be seen.

import { element, empty } from "./dom.js";

const EVERY = 3000;

// Ask at once and every few seconds; gives the function that ends it. Errors are shown in place. What
// has the keyboard's focus is not drawn anew.
export function refreshed(place, ask, draw, every = EVERY) {
  let timer = 0, over = false, last = "";

  async function turn(forced) {
    clearTimeout(timer);
    try {
      if (document.visibilityState === "visible") {
        const found = await ask();
        const text = JSON.stringify(found);
        if (!over && (forced || text !== last) && !place.contains(document.activeElement)) {
          last = text;
          draw(found);
        }
      }
    } catch (error) {
      if (!over && error.status !== 401) {
        last = "";
        place.replaceChildren(empty("This cannot be shown now", error.message), element("p", { className: "empty" },
          element("button", { type: "button", onclick: () => { place.replaceChildren(empty("Loading…")); turn(true); } }, "Try again")));
      }
    }
    if (!over) timer = setTimeout(turn, every);
  }

  turn(true);
  const stop = () => { over = true; clearTimeout(timer); };
  stop.now = () => turn(true);
  return stop;
}
