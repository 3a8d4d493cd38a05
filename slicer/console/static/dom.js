// Elements without markup in texts: nothing that an anchor is called can become one.

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  fleet: "M3 3.500h14v5H3zM3 11.500h14v5H3zM6 6h1M6 14h1",
  wall: "M3 4h6v5H3zM11 4h6v5h-6zM3 11h6v5H3zM11 11h6v5h-6z",
  tasks: "M3 5.5h2M8 5.5h9M3 10h2M8 10h9M3 14.5h2M8 14.5h9",
  health: "M2 10.5h4l2-5 4 9 2-4h4",
  waiting: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM10 6v4.5l3 1.500",
  audit: "M5 3h10v14H5zM8 7h4M8 10h4M8 13h2",
  voice: "M10 3v14M6.5 6v8M13.5 6v8M3 8.5v3M17 8.5v3",
  mute: "M4 10h12",
};

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "data") Object.assign(made.dataset, value);
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter(child => child !== null && child !== undefined && child !== false));
  return made;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 20 20", fill: "none", stroke: "currentColor",
    "stroke-width": "1.6", "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" })) svg.setAttribute(key, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

export function pill(text, tone = "") {
  return element("span", { className: "pill", data: tone ? { tone } : {} }, text);
}

export function empty(title, text = "") {
  return element("p", { className: "empty" }, element("b", {}, title), text);
}

// A table that is a list of cards on a phone: each cell carries the name of its column.
export function table(label, columns, rows) {
  const heads = columns.map(column => element("th", { scope: "col", className: column.className ?? "" }, column.name));
  const lines = rows.map(cells => element("tr", {}, ...cells.map((cell, index) => {
    const { name, className = "" } = columns[index];
    return element("td", { className, data: { label: name } }, ...[cell].flat());
  })));
  return element("table", { "aria-label": label }, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...lines));
}

export function sub(text) {
  return element("span", { className: "sub" }, text);
}

export function toast(text) {
  const line = element("p", {}, text);
  document.querySelector(".toasts").append(line);
  setTimeout(() => line.remove(), 6000);
}

// Whether the user says yes to what cannot be undone.
export function confirmed(title, text, yes) {
  return new Promise(resolve => {
    const close = () => dialog.close();
    const dialog = element("dialog", { "aria-labelledby": "ask" },
      element("h2", { id: "ask" }, title), element("p", {}, text),
      element("div", { className: "row" },
        element("button", { type: "button", autofocus: true, onclick: close }, "Keep"),
        element("button", { type: "button", className: "danger", onclick: () => { dialog.returnValue = "yes"; close(); } }, yes)));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
