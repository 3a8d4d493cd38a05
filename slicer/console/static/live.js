// What the service tells by itself: the wall's tiles and the tasks, in one place for every page.

export const tiles = new Map();
export let tasks = null;

const listeners = new Set();
let source = null, beat = 0, watchdog = 0;

// Listen to changes until the function that this gives is called: ({tiles, gone, whole, tasks}).
export function listen(callback) {
  listeners.add(callback);
  return () => listeners.delete(callback);
}

function tell(change) {
  for (const callback of listeners) callback(change);
}

export function start(onState, onEnd) {
  stop();
  onState("off");
  source = new EventSource("api/live");
  const alive = () => { beat = Date.now(); onState("on"); };
  source.addEventListener("wall", event => {
    alive();
    const change = JSON.parse(event.data);
    if (change.whole) tiles.clear();
    for (const id of change.gone) tiles.delete(id);
    for (const tile of change.tiles) tiles.set(tile.id, tile);
    tell(change);
  });
  source.addEventListener("tasks", event => {
    alive();
    tasks = JSON.parse(event.data);
    tell({ tasks });
  });
  source.addEventListener("beat", alive);
  source.addEventListener("error", () => {
    onState("off");
    // Closed for good: the session has ended, or too many pages are open. Otherwise it tries again by itself.
    if (source && source.readyState === EventSource.CLOSED) onEnd();
  });
  clearInterval(watchdog);
  watchdog = setInterval(() => { if (Date.now() - beat > 25000) onState("off"); }, 5000);
}

export function stop() {
  clearInterval(watchdog);
  source?.close();
  source = null;
  tiles.clear();
  tasks = null;
}
