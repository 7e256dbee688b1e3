// Keys and the theme switch. Everything here has a link or a system setting that does the same without it.
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");

function switchTheme() {
  const now = root.dataset.theme || (dark.matches ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch {
    // Not kept, then; the page has changed all the same.
  }
}

function step(items, by) {
  const at = items.indexOf(document.activeElement.closest(".ft") ?? document.activeElement);
  const next = items[at < 0 ? (by > 0 ? 0 : items.length - 1) : at + by];
  if (next) {
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  }
  return Boolean(next);
}

function openRow() {
  const row = document.activeElement.closest(".ft");
  const details = row?.querySelector("details");
  if (details) details.open = !details.open;
  else row?.querySelector("a.op")?.click();
}

function moveInGrid(key) {
  const cell = document.activeElement.closest(".grid td");
  if (!cell) return false;
  const row = cell.parentElement;
  const across = { ArrowLeft: -1, ArrowRight: 1 }[key];
  const down = { ArrowUp: "previousElementSibling", ArrowDown: "nextElementSibling" }[key];
  const target = across ? row.cells[cell.cellIndex + across] : row[down]?.cells[cell.cellIndex];
  const link = target?.querySelector("a.c");
  link?.focus();
  return Boolean(link);
}

function follow(selector) {
  document.querySelector(selector)?.click();
}

function focusSearch() {
  const field = document.querySelector("input[type=search]");
  field?.focus();
  field?.select();
  return Boolean(field);
}

function showKeys() {
  const sheet = document.getElementById("keys");
  if (sheet.open) sheet.close();
  else sheet.showModal();
}

const keys = {
  "?": showKeys,
  b: () => history.back(),
  T: switchTheme,
  t: switchTheme,
  j: () => step([...document.querySelectorAll(".ft")], 1),
  k: () => step([...document.querySelectorAll(".ft")], -1),
  e: openRow,
  h: () => follow('a[rel="prev"]'),
  l: () => follow('a[rel="next"]'),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (typing && event.key === "Escape") typing.blur();
  if (document.querySelector("dialog[open]") && event.key !== "?") return;
  if (typing || event.metaKey || event.ctrlKey || event.altKey || root.dataset.keys === "off") return;
  if (event.key.startsWith("Arrow")) {
    if (moveInGrid(event.key)) event.preventDefault();
  } else if (event.key === "/") {
    if (focusSearch()) event.preventDefault();
  } else if (keys[event.key]) {
    keys[event.key]();
  } else if (/^[a-z0-9[\]]$/.test(event.key)) {
    follow(`[data-key="${event.key}"]`);
  }
});

// The row that htmx puts in place of an opened one takes its focus.
document.addEventListener("htmx:after:swap", () => {
  if (document.activeElement === document.body) document.querySelector("article.ft.open:last-of-type")?.focus();
});

// Single keys can be switched off, for those whom they get in the way of.
const single = document.getElementById("single-keys");
if (single) {
  single.checked = root.dataset.keys !== "off";
  single.addEventListener("change", () => {
    root.dataset.keys = single.checked ? "on" : "off";
    try {
      localStorage.setItem("keys", root.dataset.keys);
    } catch {
      // Until the page is left, then.
    }
  });
}

// Framed pages have no header, and so no button.
const button = document.getElementById("theme");
if (button) {
  button.hidden = false;
  button.addEventListener("click", switchTheme);
}

document.querySelector('[data-opens="keys"]')?.addEventListener("click", showKeys);
