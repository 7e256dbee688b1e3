// Keys and the theme switch. Everything here has a link or a system setting that does the same without it.
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");

function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    // Storage may be switched off.
    return null;
  }
}

function store(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Not kept, then; the page has changed all the same.
  }
}

function switchTheme() {
  const now = root.dataset.theme || (dark.matches ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
  store("theme", root.dataset.theme);
}

// Features of a head or else its examples, results of a search, or the examples of a feature's page.
function step(by) {
  const rows = [...document.querySelectorAll(".feature-entry, .grouped-example")];
  const items = rows.length ? rows : [...document.querySelectorAll(".feature-main .examples > li")];
  const at = items.indexOf(
    document.activeElement.closest(".feature-entry, .grouped-example, .feature-main .examples > li"),
  );
  const next = items[at < 0 ? (by > 0 ? 0 : items.length - 1) : at + by];
  if (!next) return;
  next.tabIndex = -1;
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function openRow(row) {
  const whole = row?.querySelector(":scope > a.whole-link");
  if (whole) {
    whole.click();
    return;
  }
  const details = row?.querySelector("details");
  if (details) details.open = !details.open;
  else row?.querySelector("a.open-link")?.click();
}

let openingAll = false;

function openAll() {
  const rows = [...document.querySelectorAll(".feature-entry")];
  const closed = rows.filter((row) => !row.querySelector("details[open]"));
  // The focus, and with it the next label, stays where it was.
  openingAll = true;
  closed.forEach(openRow);
  openingAll = false;
  if (!closed.length) for (const row of rows) row.querySelector("details").open = false;
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

// From the field of a query down into what it could become, and back.
function stepSuggestions(key) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[key];
  const items = [...document.querySelectorAll("[name=q], #typed a")];
  const at = items.indexOf(document.activeElement);
  if (!by || at < 0) return false;
  items[at + by]?.focus();
  return items.length > 1;
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
  j: () => step(1),
  k: () => step(-1),
  e: () => openRow(document.activeElement.closest(".feature-entry, .feature-main .examples > li")),
  E: openAll,
  v: () => document.querySelector("main")?.classList.toggle("values"),
  h: () => follow('a[rel="prev"]'),
  l: () => follow('a[rel="next"]'),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "Escape") (typing ?? event.target.closest(".typed a"))?.blur();
  if (stepSuggestions(event.key)) event.preventDefault();
  if (typing || event.metaKey || event.ctrlKey || event.altKey) return;
  if (document.querySelector("dialog[open]") && event.key !== "?") return;
  if (event.defaultPrevented || event.key.length > 1 || stored("keys") === "off") return;
  // A page's own script may take the key first.
  const offered = new CustomEvent("head-atlas:key", { detail: event.key, cancelable: true });
  if (!document.dispatchEvent(offered)) return;
  if (event.key === "/") {
    if (focusSearch()) event.preventDefault();
  } else if (document.querySelector(`[data-key="${CSS.escape(event.key)}"]`)) {
    follow(`[data-key="${CSS.escape(event.key)}"]`);
  } else {
    keys[event.key]?.();
  }
});

// Features of a head and examples of a feature open in place of their rows, and take the focus of the link.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a.whole-link, .feature-entry .open-link, .intervals a, .attention .in-place");
  const row = link?.closest(link.matches(".in-place") ? "article" : "li:not(.intervals *), article");
  if (!row || row.matches(".whole-example") || !window.htmx || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  const list = row.parentElement;
  const index = [...list.children].indexOf(row);
  const focuses = !openingAll || row.contains(document.activeElement);
  window.htmx
    .ajax("GET", link.getAttribute("href").split("#")[0], { source: link, target: row, swap: "outerHTML" })
    .then(() => {
      if (!focuses || document.activeElement !== document.body) return;
      const opened = list.children[index];
      opened.tabIndex = -1;
      opened.focus();
    });
});

const buttons = {
  "#theme": switchTheme,
  '[data-opens="keys"]': showKeys,
  '[data-does="values"]': keys.v,
  '[data-does="all"]': openAll,
};
document.addEventListener("click", ({ target }) => {
  for (const [selector, action] of Object.entries(buttons)) if (target.closest(selector)) action();
});

const single = document.getElementById("single-keys");
if (single) {
  single.checked = stored("keys") !== "off";
  single.addEventListener("change", () => {
    root.dataset.keys = single.checked ? "on" : "off";
    store("keys", root.dataset.keys);
  });
}
