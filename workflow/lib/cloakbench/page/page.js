// One state for all views. Every number is the page's data; the first state is already drawn.
"use strict";
const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const { names, keys, targets, scale } = data;
const clean = { attack: 0, eps: 0 }; // the places of what is not attacked
const state = { ...data.state };
const first = { ...data.state };
const picked = new Set(data.facets);

// ---------------------------------------------------------------- tables

const rates = new Map(data.rates.psr.map((_, row) => [keys.map((key) => data.rates[key][row]).join(), row]));

function rate(other = {}) {
  const row = rates.get(keys.map((key) => ({ ...state, ...other })[key]).join());
  if (row === undefined || !data.rates.n[row]) return null;
  return Object.fromEntries(Object.entries(data.rates).map(([name, column]) => [name, column[row]]));
}

// The rows of a table that have the state's values, but for the keys of `free`.
function rowsOf(table, free = []) {
  const columns = data[table], fixed = Object.keys(state).filter((key) => key in columns && !free.includes(key));
  const size = Object.values(columns)[0].length, found = [];
  for (let row = 0; row < size; row++)
    if (fixed.every((key) => columns[key][row] === state[key]))
      found.push(Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, column[row]])));
  return found;
}

// ---------------------------------------------------------------- writing

function element(name, attributes = {}, ...children) {
  const svg = ["path", "circle", "title", "svg", "g"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const percent = (value) => value.toFixed(1);
const signed = (value, digits) => (value < 0 ? "" : "+") + value.toFixed(digits);
const place = (value) => (value + 1e-9).toFixed(1);
const height = (share) => scale.top + ((100 - share) / 100) * scale.height;
const across = (value, low, high) => scale.left + (high === low ? 0.5 : (value - low) / (high - low)) * scale.width;
const count = (value) => (value === null ? "–" : String(value));
const told = (of) => `${percent(of.psr)} % (${of.psr_low}-${of.psr_high})`;

function asRate(of) {
  if (!of || of.psr === null) return ["–"];
  return [element("b", {}, percent(of.psr)), " ", element("small", {}, `${of.psr_low}-${of.psr_high}`)];
}

function change(of, name = "difference") {
  const [low, high] = name === "difference" ? ["low", "high"] : [`${name}_low`, `${name}_high`];
  if (of[name] === null) return "–";
  return signed(of[name], 1) + (of[low] === null ? "" : ` (${signed(of[low], 0)} to ${signed(of[high], 0)})`);
}

const line = (...cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, ...[cell].flat())));
const named = (key, other = {}) => String(names[key][{ ...state, ...other }[key]]);

// ---------------------------------------------------------------- views

const blackBox = (own) => targets.filter((one) => one.look !== "any" && !own.includes(one.place));

const mayBeChance = (one) => names.top_k[state.top_k] === data.tested && data.comparisons &&
  rowsOf("comparisons", ["target", "top_k"]).some((row) => row.target === one.place && row.reference === names.attack[0] && row.may_be_chance);

function drawTiles() {
  const own = data.own[state.source], rated = (one) => rate({ target: one.place });
  const others = blackBox(own).filter(rated).sort((a, b) => rated(a).psr - rated(b).psr);
  const most = others.filter((one) => rated(one).psr === rated(others.at(-1)).psr)[0];
  const shown = own.slice(0, 1).map((at) => ["white box", targets[at]]);
  if (others.length) shown.push([`black box${others.length > 1 ? ", fewest hidden here" : ""}`, others[0]]);
  if (others.length > 1) shown.push(["black box, most hidden here", most]);
  shown.push(...targets.filter((one) => one.look === "any").map((one) => ["hidden from all at once", one]));
  const tiles = shown.map(([kind, one]) => {
    const without = rate({ ...clean, target: one.place });
    return element("div", { class: "tile" }, element("span", { class: "kind" }, kind), " ",
      element("bdi", { title: one.name }, one.heading), " ", element("span", { class: "rate" }, ...asRate(rated(one))), " ",
      element("span", { class: "clean" }, without ? `no cloak ${percent(without.psr)}${mayBeChance(one) ? "; chance not ruled out" : ""}` : ""));
  });
  const seen = data.quality ? rowsOf("quality", ["target", "top_k"])[0] : null;
  if (seen && seen.ssim !== null && seen.psnr !== null)
    tiles.push(element("div", { class: "tile" }, element("span", { class: "kind" }, "median picture"), " SSIM ",
      element("span", { class: "rate" }, element("b", {}, seen.ssim.toFixed(3))), " ",
      element("span", { class: "clean" }, `PSNR ${percent(seen.psnr)} dB`)));
  $("tiles").replaceChildren(...tiles);
}

// A large study's table has the rows of the chosen source alone.
const sourceOf = (row) => ("source" in row.dataset ? Number(row.dataset.source) : state.source);

function drawTable() {
  for (const row of $("rates").tBodies[0].rows) {
    const [attack, eps] = row.dataset.of.split(" ").map(Number), source = sourceOf(row);
    row.cells[0].textContent = names.source[source];
    targets.forEach((one, at) => row.cells[3 + at].replaceChildren(...asRate(rate({ source, attack, eps, target: one.place }))));
  }
}

function drawHeat() {
  for (const map of document.querySelectorAll(".map")) {
    const eps = Number(map.dataset.eps);
    map.classList.toggle("now", eps === state.eps);
    [...map.tBodies[0].rows].forEach((row, source) => targets.forEach((one, at) => {
      const here = rate({ source, eps, target: one.place }), without = rate({ ...clean, source, target: one.place });
      const cell = row.cells[1 + at];
      const white = data.own[source].includes(one.place) ? " white" : "";
      cell.className = (here ? `heat${Math.trunc((here.psr / 100) * scale.levels)}` : "none") + white;
      cell.replaceChildren(...asRate(here), element("span", {}, without ? `clean ${percent(without.psr)}` : ""));
    }));
  }
}

function drawCurves() {
  const panels = document.querySelector("#curves .panels"), pattern = panels.firstElementChild;
  const figures = [...picked].sort((a, b) => a - b).map((attack) => {
    const figure = pattern.cloneNode(true);
    figure.dataset.attack = attack;
    figure.querySelector("figcaption").textContent = names.attack[attack];
    const ends = [], lines = figure.querySelector(".lines");
    lines.replaceChildren(...targets.flatMap((one) => {
      const points = data.budgets.map((eps) => [eps, rate({ attack, eps, target: one.place })]).filter(([, of]) => of);
      if (!points.length) return [];
      const at = (share, eps) => `${place(scale.budgets[eps])} ${place(height(share))}`;
      const without = rate({ ...clean, target: one.place });
      ends.push(`${one.heading} ${percent(points[0][1].psr)} to ${percent(points.at(-1)[1].psr)} %`);
      const upper = points.map(([eps, of]) => at(of.psr_high, eps)), lower = points.map(([eps, of]) => at(of.psr_low, eps));
      const base = without && element("path", { class: `base ${one.look}`, d: `M${scale.from} ${place(height(without.psr))}H${scale.to}` });
      return [
        element("path", { class: `band ${one.look}`, d: `M${[...upper, ...lower.reverse()].join("L")}Z` }),
        element("path", { class: `line ${one.look}`, d: `M${points.map(([eps, of]) => at(of.psr, eps)).join("L")}` }),
        ...(base ? [base] : []),
        ...points.map(([eps, of]) => element("path", {
          class: `mark ${one.look}${eps === state.eps ? " now" : ""}`, d: one.shape,
          transform: `translate(${at(of.psr, eps)})${eps === state.eps ? " scale(1.5)" : ""}`,
        }, element("title", {}, `${one.heading}, eps ${names.eps[eps]}: ${told(of)}`))),
      ];
    }));
    const range = `eps ${names.eps[data.budgets[0]]} to ${names.eps[data.budgets.at(-1)]}`;
    figure.querySelector("svg").setAttribute("aria-label",
      `${names.attack[attack]} crafted on ${named("source")}, ${range}: ${ends.join("; ")}`);
    return figure;
  });
  if (figures.length) panels.replaceChildren(...figures);
}

function drawFront() {
  if (!data.front) return;
  const rows = rowsOf("front", ["source", "attack", "eps", "top_k"]).filter((row) => row.ssim !== null && row.psr !== null)
    .map((row) => ({ ...row, x: place(across(row.ssim, scale.ssim[1], scale.ssim[0])), y: place(height(row.psr)) }))
    .sort((a, b) => a.eps - b.eps);
  const marks = [];
  for (const attack of names.attack.keys()) {
    const points = rows.filter((row) => row.source === state.source && row.attack === attack);
    if (!points.length) continue;
    const chosen = attack === state.attack ? " chosen" : "";
    marks.push(element("path", { class: `line way${chosen}`, d: `M${points.map(({ x, y }) => `${x} ${y}`).join("L")}` }));
    for (const { x, y, eps, psr, ssim, front_ssim: front } of points) {
      const said = `${names.attack[attack]}, eps ${names.eps[eps]}: ${percent(psr)} %, SSIM ${ssim.toFixed(3)}`;
      marks.push(element("circle", { class: `point${chosen}${front ? " front" : ""}`, cx: x, cy: y, r: chosen ? 4 : 3 }, element("title", {}, said)));
    }
  }
  document.querySelector("#front .lines").replaceChildren(...marks);
  const best = rows.filter((row) => row.front_ssim).sort((a, b) => b.psr - a.psr || b.ssim - a.ssim);
  $("best").tBodies[0].replaceChildren(...best.map((point) => line(names.source[point.source],
    names.attack[point.attack], String(names.eps[point.eps]), point.ssim.toFixed(3), asRate(point))));
}

function drawLadder() {
  if (!data.ladder) return;
  $("steps").tBodies[0].replaceChildren(...rowsOf("ladder", ["target", "top_k"]).map((row) => line(
    row.rung, row.judged_by, `${row.hidden} of ${row.n}`, asRate(row),
    element("svg", { class: "bar", viewBox: "0 0 100 8", "aria-hidden": "true" }, element("path", { d: `M0 0H${percent(row.psr ?? 0)}V8H0z` })),
    count(row.only), count(row.only_before), change(row))));
}

function drawTests() {
  if (!data.comparisons) return;
  $("tests").tBodies[0].replaceChildren(...rowsOf("comparisons", ["attack", "top_k"]).map((row) => line(
    names.attack[row.attack], row.reference, percent(row.psr), percent(row.psr_reference),
    count(row.only), count(row.only_reference), change(row), row.p, row.p_adjusted)));
}

const groupRows = () => rowsOf("groups", ["top_k"]).map(({ place: at, ...row }) => ({ ...data.of_group[at], ...row }));

function drawGroups() {
  if (!data.groups) return;
  $("alike").tBodies[0].replaceChildren(...groupRows().map((row) => line(
    row.by, row.group, row.values, count(row.subjects), row.hidden === null ? "–" : `${row.hidden} of ${row.n}`, asRate(row),
    change(row, "gain"), row.than, change(row, "gain_difference"))));
}

// ---------------------------------------------------------------- faces

const grid = $("grid");
let open = null; // the face in the dialog

function judged(face) {
  const cell = data.faces.ranks[keys.filter((key) => key !== "top_k").map((key) => state[key]).join()];
  return cell ? { rank: cell.rank[face], found: cell.found[face] === "1" } : null;
}

function drawFaces() {
  if (!grid) return;
  const k = names.top_k[state.top_k], which = $("which").value, byRank = $("order").value === "rank", who = $("who").value.toLowerCase();
  const faces = [...grid.children].map((button) => ({ button, face: Number(button.dataset.face), of: judged(Number(button.dataset.face)) }));
  const is = {
    all: () => true, named: (of) => of && of.rank !== null && of.rank < k, hidden: (of) => of && (of.rank === null || of.rank >= k),
    lost: (of) => of && !of.found,
  }[which];
  let shown = 0;
  for (const { button, of } of faces) {
    button.hidden = !is(of) || !button.querySelector("bdi").textContent.toLowerCase().includes(who);
    shown += !button.hidden;
    button.querySelector(".mine").textContent = !of ? "not judged" : of.rank === null ? "not found" : `rank ${of.rank}`;
  }
  const far = (of) => (!of ? -1 : of.rank === null ? Infinity : of.rank);
  faces.sort((a, b) => (byRank && far(b.of) - far(a.of)) || a.face - b.face);
  const order = faces.map(({ button }) => button);
  if (order.some((button, at) => grid.children[at] !== button)) grid.append(...order);
  $("shown-faces").textContent = `${shown} of ${faces.length}`;
  if (open !== null) drawFace();
}

const webp = (picture) => `data:image/webp;base64,${picture}`;

function drawFace() {
  const face = JSON.parse($(`face-${open}`).textContent), about = data.faces.people[open];
  const places = (keys, other = {}) => keys.map((key) => ({ ...state, ...other })[key]).join();
  const { stored, crafted } = data.faces, change = face.changes[places(crafted)];
  const what = `${named("attack")} at eps ${named("eps")}, crafted on ${named("source")}`;
  $("face-name").textContent = about.name;
  $("face-cell").textContent = `subject ${about.subject}${about.photo ? `, photograph ${about.photo}` : ""}: ${what}`;
  const pictures = [["face-clean", face.pictures[places(stored, clean)], "without a cloak"],
    ["face-cloaked", face.pictures[places(stored)], what], ["face-change", change, `what ${what} changed`]];
  for (const [id, picture, alt] of pictures) {
    $(id).hidden = !picture;
    if (picture) $(id).src = webp(picture);
    $(id).alt = `${about.name}, ${alt}`;
  }
  $("face-factor").textContent = change ? `what was changed, ×${data.faces.factor[named("eps")]}, before storage` : "the change is not shown at this budget";
  $("face-ranks").replaceChildren(...targets.filter((one) => one.look !== "any").map((one) => {
    const of = (other) => data.faces.ranks[keys.filter((key) => key !== "top_k").map((key) => ({ ...state, ...other, target: one.place })[key]).join()];
    const ranked = (cells) => (!cells ? "–" : cells.rank[open] === null ? "not found" : String(cells.rank[open]));
    const now = of({}), who = now && now.predicted[open];
    const called = who === null || who === undefined ? "–" : who === data.faces.labels[one.place][open] ? "themselves" : data.faces.called[one.place][who] ?? `another, class ${who}`;
    return line(one.name, ranked(of(clean)), ranked(now), called);
  }));
}

function openFace(face) {
  open = face;
  drawFace();
  if (!$("face").open) $("face").showModal();
}

function turn(step) {
  const visible = [...grid.children].filter((button) => !button.hidden).map((button) => Number(button.dataset.face));
  if (visible.length) openFace(visible[(visible.indexOf(open) + step + visible.length) % visible.length]);
}

if (grid) {
  grid.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) openFace(Number(button.dataset.face));
  });
  $("face").addEventListener("close", () => {
    const button = [...grid.children].find((one) => Number(one.dataset.face) === open);
    open = null;
    button?.focus();
  });
  $("close").addEventListener("click", () => $("face").close());
  $("face").addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") turn(event.key === "ArrowLeft" ? -1 : 1);
    else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      const at = data.budgets.indexOf(state.eps) + (event.key === "ArrowUp" ? 1 : -1);
      if (at in data.budgets) set({ eps: data.budgets[at] });
    } else return;
    event.preventDefault();
  });
  for (const id of ["which", "order"]) $(id).addEventListener("change", drawFaces);
  $("who").addEventListener("input", drawFaces);
}

// ---------------------------------------------------------------- the state

const inputs = [...document.querySelectorAll("#controls [data-key]")];

function draw() {
  for (const input of inputs) {
    const options = data.choices[input.dataset.key], at = options.indexOf(state[input.dataset.key]);
    if (input.type === "range") {
      input.value = at;
      input.nextElementSibling.textContent = named(input.dataset.key);
      input.setAttribute("aria-valuetext", `eps ${named(input.dataset.key)}`);
    } else input.selectedIndex = at;
  }
  for (const key of keys) for (const word of document.querySelectorAll(`.says-${key}`)) word.textContent = named(key);
  for (const view of [drawTiles, drawTable, drawHeat, drawCurves, drawFront, drawLadder, drawTests, drawGroups, drawFaces]) view();
  sorted.forEach(arrange);
}

function set(change) {
  Object.assign(state, change);
  remember();
  draw();
  $("said").textContent = Object.keys(change).map((key) => `${key} ${named(key)}`).join(", ");
}

function remember() {
  const differs = keys.filter((key) => state[key] !== first[key]).map((key) => `${key}=${encodeURIComponent(named(key))}`);
  if ([...picked].join() !== data.facets.join()) differs.push(`curves=${[...picked].map((at) => encodeURIComponent(names.attack[at])).join(",")}`);
  history.replaceState(null, "", `#${differs.join("&") || "verdict"}`);
}

function recall() {
  const asked = new URLSearchParams(location.hash.slice(1));
  for (const key of keys) {
    const at = names[key].findIndex((name) => String(name) === asked.get(key));
    state[key] = data.choices[key].includes(at) ? at : first[key];
  }
  const shown = (asked.get("curves") ?? "").split(",").map((name) => names.attack.indexOf(name)).filter((at) => at > 0);
  picked.clear();
  for (const at of shown.length ? shown : data.facets) picked.add(at);
  for (const box of document.querySelectorAll(".picker input")) box.checked = picked.has(Number(box.value));
}

for (const input of inputs)
  input.addEventListener("input", () => {
    const key = input.dataset.key;
    set({ [key]: data.choices[key][input.type === "range" ? Number(input.value) : input.selectedIndex] });
  });
for (const box of document.querySelectorAll(".picker input"))
  box.addEventListener("change", () => {
    if (box.checked) picked.add(Number(box.value));
    else if (picked.size > 1) picked.delete(Number(box.value));
    box.checked = picked.has(Number(box.value));
    remember();
    drawCurves();
  });
window.addEventListener("hashchange", () => { if (location.hash.includes("=")) { recall(); draw(); } });

// ---------------------------------------------------------------- tables: sort, filter, take away

function arrange(table) {
  const head = table.tHead.querySelector("[aria-sort]");
  if (!head) return;
  const up = head.getAttribute("aria-sort") === "ascending" ? 1 : -1;
  const value = (row) => row.cells[head.cellIndex].textContent, number = (row) => parseFloat(value(row));
  const order = (a, b) => up * (Number.isNaN(number(a) + number(b)) ? value(a).localeCompare(value(b)) : number(a) - number(b));
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  for (const head of heads) {
    if (head.querySelector(".said")) continue;
    const button = element("button", { type: "button" }, ...head.childNodes);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      arrange(table);
      $("said").textContent = `sorted by ${button.textContent}, ${down ? "descending" : "ascending"}`;
    });
  }
}
const sorted = ["rates", "tests", "alike"].map($).filter(Boolean);
sorted.forEach(sortable);

function filter() {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean), rows = [...$("rates").tBodies[0].rows];
  for (const row of rows) {
    const text = [...row.cells].slice(0, 3).map((cell) => cell.textContent.toLowerCase());
    row.hidden = !words.every((word) => text.some((cell) => cell.includes(word)));
  }
  $("count").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
}
$("filter").addEventListener("input", filter);

const views = {
  rates: () => {
    const rows = [...$("rates").tBodies[0].rows].filter((row) => !row.hidden);
    const shown = new Set(rows.map((row) => `${sourceOf(row)} ${row.dataset.of}`));
    return rowsOf("rates", ["source", "attack", "eps", "target"]).filter((row) => shown.has(`${row.source} ${row.attack} ${row.eps}`));
  },
  heat: () => rowsOf("rates", ["source", "target"]),
  curves: () => rowsOf("rates", ["attack", "eps", "target"]).filter((row) => picked.has(row.attack)),
  front: () => rowsOf("front", ["source", "attack", "eps", "top_k"]),
  ladder: () => rowsOf("ladder", ["target", "top_k"]),
  compare: () => rowsOf("comparisons", ["attack", "top_k"]),
  groups: groupRows,
  faces: () => [...grid.children].filter((button) => !button.hidden).map((button) => {
    const face = Number(button.dataset.face), of = judged(face);
    return { ...state, subject: data.faces.people[face].subject, photo: data.faces.people[face].photo, found: Number(of?.found ?? 0), rank: of?.rank ?? null };
  }),
};

function csv(rows) {
  const field = (key, value) => {
    let text = value === null || value === undefined ? "" : key in names ? String(names[key][value]) : String(value);
    if (typeof value === "string" || key in names) text = text.replace(/^[=+\-@']/, "'$&"); // no formula for a spreadsheet
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const columns = rows.length ? Object.keys(rows[0]) : [];
  return [columns.join(), ...rows.map((row) => columns.map((key) => field(key, row[key])).join())].join("\n") + "\n";
}

function save(name, kind, text) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type: kind })), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

for (const button of document.querySelectorAll("[data-csv]"))
  button.addEventListener("click", () => save(`${data.study}-${button.dataset.csv}.csv`, "text/csv", csv(views[button.dataset.csv]())));
for (const button of document.querySelectorAll("[data-svg]"))
  button.addEventListener("click", () => {
    for (const figure of document.querySelectorAll(`#${button.dataset.svg} figure`)) {
      const drawn = figure.querySelector("svg").cloneNode(true);
      drawn.setAttribute("xmlns", "http://www.w3.org/2000/svg");
      drawn.prepend(element("style", {}, document.querySelector("style").textContent));
      const name = [data.study, button.dataset.svg, ...(figure.dataset.attack ? [names.attack[figure.dataset.attack]] : [])];
      save(`${name.join("-")}.svg`, "image/svg+xml", new XMLSerializer().serializeToString(drawn));
    }
  });

// ---------------------------------------------------------------- colours, print, start

const schemes = { "": "as the system", light: "light", dark: "dark" };

function paint(scheme) {
  if (scheme) document.documentElement.dataset.scheme = scheme;
  else delete document.documentElement.dataset.scheme;
  $("scheme").textContent = `Colours: ${schemes[scheme]}`;
  try { localStorage.setItem("cloakbench-colours", scheme); } catch { /* none inside a frame or where they are turned off */ }
}

let scheme = "";
try { scheme = localStorage.getItem("cloakbench-colours") ?? ""; } catch { /* likewise */ }
if (!(scheme in schemes)) scheme = "";
paint(scheme);
$("scheme").addEventListener("click", () => {
  const order = Object.keys(schemes);
  paint(order[(order.indexOf(document.documentElement.dataset.scheme ?? "") + 1) % order.length]);
});
window.addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details:not(.picker)")) part.open = true; });
document.documentElement.classList.add("scripted");
for (const part of document.querySelectorAll(".script")) part.hidden = false;
filter();
if (location.hash.includes("=")) recall();
draw();
