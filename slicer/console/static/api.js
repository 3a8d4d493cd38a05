// Requests to the service. The CSRF token is kept in this module's memory alone.

let csrf = "";

// Whether this is a copy of a fleet's API, whose tasks are at workers.
export let isFleet = false;

let onLoggedOut = () => {};

export class Refused extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

export function whenLoggedOut(callback) {
  onLoggedOut = callback;
}

async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch {
    throw new Refused(0, "The service cannot be reached.");
  }
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  if (response.status === 401 && !path.endsWith("login")) onLoggedOut();
  throw new Refused(response.status, body.reason ?? "The service answered " + response.status + ".");
}

export function get(path) {
  return request("api/" + path);
}

export function post(path, body = {}) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf };
  return request("api/" + path, { method: "POST", headers, body: JSON.stringify(body) });
}

// Whether somebody is logged in.
export async function session() {
  const found = await get("session");
  csrf = found.csrf;
  isFleet = found.fleet;
  return csrf !== "";
}

export async function logIn(token, name) {
  const found = await post("login", { token, name });
  csrf = found.csrf;
  isFleet = found.fleet;
}

export function mediaUrl(id) {
  return "media/" + encodeURIComponent(id);
}
