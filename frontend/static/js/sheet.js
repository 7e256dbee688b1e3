// Keys of the spreadsheet: rows, columns, export. The order turns with the link that `o` names.
function stepRow(by) {
  const links = [...document.querySelectorAll(".sheet tbody th a")];
  const at = links.indexOf(document.activeElement.closest?.("tr")?.querySelector("th a"));
  const next = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by];
  next?.focus();
}

function toggleColumns() {
  const columns = document.getElementById("columns");
  columns.open = !columns.open;
  (columns.open ? columns.querySelector("input[type=checkbox]") : columns.querySelector("summary")).focus();
}

const sheetKeys = {
  j: () => stepRow(1),
  k: () => stepRow(-1),
  ",": toggleColumns,
  X: () => document.querySelector(".exb a")?.focus(),
};

document.addEventListener("keydown", (event) => {
  const columns = document.getElementById("columns");
  if (event.key === "Escape" && columns.open) toggleColumns();
  if (event.target.closest("input:not([type=checkbox]), textarea, select, dialog[open]")) return;
  if (event.metaKey || event.ctrlKey || event.altKey || !sheetKeys[event.key]) return;
  event.preventDefault();
  sheetKeys[event.key]();
});
