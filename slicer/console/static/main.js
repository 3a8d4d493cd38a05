// Logging in, the navigation, and the page that the address names.

import { isFleet, logIn, post, session, whenLoggedOut } from "./api.js";
import { audit } from "./audit.js";
import { element, icon, toast } from "./dom.js";
import { fleet } from "./fleet.js";
import { health } from "./health.js";
import { listen, start, stop, tasks, tiles } from "./live.js";
import { taskList } from "./tasks.js";
import { timeline } from "./timeline.js";
import { waiting } from "./waiting.js";
import { wall } from "./wall.js";

const PAGES = { fleet: ["Fleet", fleet], wall: ["Wall", wall], tasks: ["Tasks", taskList], health: ["Health", health], waiting: ["Waiting", waiting], audit: ["Audit", audit] };
const main = document.querySelector("main"), bar = document.querySelector(".bar"), link = document.querySelector(".link");
// Of a copy of a fleet's API: what else there is belongs to workers.
const OF_FLEET = new Set(["fleet", "tasks", "audit"]);
let leave = () => {}, loggedIn = false;

const entries = Object.entries(PAGES).map(([key, [name]]) => {
  const count = element("span", { className: "count", hidden: true });
  return [key, element("a", { href: "#/" + key }, icon(key), name, count), count];
});
bar.querySelector("nav").append(...entries.map(([, anchor]) => anchor));

function route() {
  if (!loggedIn) return;
  const [key, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const shown = key === "task" ? "tasks" : has(key) ? key : isFleet ? "fleet" : "wall";
  for (const [name, anchor] of entries) {
    if (name === shown) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  document.title = PAGES[shown][0] + " · rtc-slicer";
  leave();
  scrollTo(0, 0);
  leave = key === "task" && !isFleet ? timeline(main, rest) : PAGES[shown][1](main);
}

function has(key) {
  return key in PAGES && (isFleet ? OF_FLEET.has(key) : key !== "fleet");
}

function show(key, number, tone) {
  const count = entries.find(([name]) => name === key)[2];
  count.hidden = !number;
  count.textContent = number;
  count.dataset.tone = tone;
}

listen(() => {
  const hits = [...tiles.values()].filter(tile => tile.hit && Date.now() - tile.hit.at < 600000).length;
  show("wall", hits, "bad");
  show("tasks", tasks?.length ?? 0, "");
});

function onState(state) {
  if (link.dataset.state === state && link.textContent) return;
  link.dataset.state = state;
  link.textContent = state === "on" ? "Live" : "Connecting…";
}

function login(words = "") {
  loggedIn = false;
  stop();
  leave();
  leave = () => {};
  bar.hidden = true;
  document.title = "Log in · rtc-slicer";
  const token = element("input", { type: "password", name: "token", required: true, autocomplete: "current-password" });
  const name = element("input", { type: "text", name: "name", maxLength: 40, autocomplete: "username" });
  const button = element("button", { className: "main" }, "Log in"), error = element("p", { className: "error", role: "alert" }, words);
  const form = element("form", { className: "login" },
    element("h1", {}, element("img", { src: "static/icon.svg", width: 28, height: 28, alt: "" }), "rtc-slicer"),
    element("label", {}, "Your name", name, element("small", {}, "For the audit; may be left out.")),
    element("label", {}, "Token", token, element("small", {}, "slicer serve says where it is when it starts.")), error, button);
  form.addEventListener("submit", async event => {
    event.preventDefault();
    button.disabled = true;
    error.textContent = "";
    try {
      await logIn(token.value, name.value);
      enter();
    } catch (refused) {
      error.textContent = refused.status === 401 ? "This is not the token." : refused.message;
      button.disabled = false;
      token.select();
    }
  });
  main.replaceChildren(form);
  token.focus();
}

function enter() {
  loggedIn = true;
  bar.hidden = false;
  for (const [key, anchor] of entries) anchor.hidden = !has(key);
  start(onState, lost);
  route();
}

// The stream is refused: the session has ended, too many pages are open, or the service is away.
async function lost() {
  const still = await session().catch(() => true);
  if (!loggedIn) return;
  if (still) setTimeout(() => { if (loggedIn) start(onState, lost); }, 10000);
  else login("The session has ended.");
}

bar.querySelector("[name=logout]").addEventListener("click", async () => {
  try {
    await post("logout");
    login();
  } catch (error) {
    toast(error.message);
  }
});
whenLoggedOut(() => { if (loggedIn) login("The session has ended."); });
addEventListener("hashchange", route);

try {
  if (await session()) enter();
  else login();
} catch (error) {
  login(error.message);
}
