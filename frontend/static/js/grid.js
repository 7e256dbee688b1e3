// The atlas: cards beside cells, the roving tab stop, filters that apply themselves.
const frame = document.querySelector(".grid-frame");
const card = document.getElementById("card");
const cells = [...frame.querySelectorAll("a.cell")];
const cards = new Map();
let wanted = null;
let timer = 0;

// One stop in the order of tabs; arrows move within the grid and leave it where they end.
function rove(cell) {
  for (const other of cells) other.tabIndex = -1;
  cell.tabIndex = 0;
}
if (cells.length) rove(cells[0]);

function headOf(cell) {
  return cell.pathname.split("/").pop();
}

// What a template of a URL, which came with the page, is for the head of a cell.
function urlFor(template, cell) {
  return template.replace("{head}", headOf(cell));
}

async function load(cell) {
  const head = headOf(cell);
  if (!cards.has(head)) {
    const url = urlFor(frame.dataset.card, cell);
    const answer = fetch(url, { headers: { "HX-Request": "true" } }).then(async (found) =>
      found.ok ? new DOMParser().parseFromString(await found.text(), "text/html").body.firstElementChild : null,
    );
    cards.set(head, answer);
  }
  return cards.get(head);
}

function place(cell) {
  const around = frame.getBoundingClientRect();
  const at = cell.getBoundingClientRect();
  const width = card.offsetWidth;
  const right = at.right - around.left + 8;
  const left = right + width > innerWidth - around.left - 8 ? at.left - around.left - width - 8 : right;
  const lowest = innerHeight - around.top - card.offsetHeight - 36;
  card.style.left = `${Math.max(0, left)}px`;
  card.style.top = `${Math.min(at.top - around.top, Math.max(0, lowest))}px`;
}

async function show(cell) {
  wanted = cell;
  let content = null;
  try {
    content = await load(cell);
  } catch {
    cards.delete(headOf(cell)); // the next look asks again
  }
  if (wanted !== cell || !content) return;
  card.replaceChildren(content);
  card.hidden = false;
  place(cell);
}

function hide() {
  clearTimeout(timer);
  wanted = null;
  card.hidden = true;
}

// An atlas in files has no cards.
if (frame.dataset.card) {
  frame.addEventListener("pointerover", (event) => {
    const cell = event.target.closest("a.cell");
    if (!cell || event.pointerType === "touch") return;
    clearTimeout(timer);
    timer = setTimeout(() => show(cell), 120);
  });
  frame.addEventListener("pointerout", (event) => {
    const to = event.relatedTarget?.closest?.("a.cell");
    if (event.target.closest("a.cell") && !to && wanted !== document.activeElement) hide();
  });
  frame.addEventListener("focusin", (event) => {
    const cell = event.target.closest("a.cell");
    if (!cell) return;
    rove(cell);
    if (cell.matches(":focus-visible")) show(cell);
  });
  frame.addEventListener("focusout", hide);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
}

// The head under the hand: focused, else under the pointer.
function current() {
  return document.activeElement.closest("a.cell") ?? (card.hidden ? null : wanted);
}
document.addEventListener("head-atlas:key", (event) => {
  const cell = current();
  const template = { c: frame.dataset.compare, x: frame.dataset.ablation }[event.detail];
  if (!cell || !template) return;
  location.assign(urlFor(template, cell));
  event.preventDefault();
});

// Chosen filters apply at once, and those that ask for nothing stay out of the address.
const filters = document.querySelector(".filters");
filters?.addEventListener("change", () => filters.requestSubmit());
filters?.addEventListener("formdata", (event) => {
  for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
});

function moveInGrid(key) {
  const cell = document.activeElement.closest(".grid td");
  if (!cell) return false;
  const row = cell.parentElement;
  const across = { ArrowLeft: -1, ArrowRight: 1 }[key];
  const down = { ArrowUp: "previousElementSibling", ArrowDown: "nextElementSibling" }[key];
  const target = across ? row.cells[cell.cellIndex + across] : row[down]?.cells[cell.cellIndex];
  const link = target?.querySelector("a.cell");
  link?.focus();
  return Boolean(link);
}

// The first arrow on an atlas goes to its tab stop.
function enterGrid() {
  const stop = document.querySelector('.grid a.cell[tabindex="0"]');
  const free = document.activeElement === document.body;
  if (free) stop?.focus();
  return Boolean(free && stop);
}

document.addEventListener("keydown", (event) => {
  const elsewhere = event.target.closest("input, textarea, select") || document.querySelector("dialog[open]");
  if (elsewhere || !event.key.startsWith("Arrow") || event.metaKey || event.ctrlKey || event.altKey) return;
  if (moveInGrid(event.key) || enterGrid()) event.preventDefault();
});
