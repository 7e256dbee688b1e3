// Keys of the spreadsheet: rows, columns, export. The order follows links: `o` the next column, `O` the other way round.
const columns = document.getElementById("columns"); // none where the sheet is a file

function stepRow(by) {
  const links = [...document.querySelectorAll(".sheet tbody th a")];
  const at = links.indexOf(document.activeElement.closest("tr")?.querySelector("th a"));
  const next = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by];
  next?.focus();
}

function toggleColumns() {
  if (!columns) return;
  columns.open = !columns.open;
  columns.querySelector(columns.open ? "input[type=checkbox]" : "summary").focus();
}

const sheetKeys = {
  j: () => stepRow(1),
  k: () => stepRow(-1),
  ",": toggleColumns,
  X: () => document.querySelector(".export-bar a").focus(),
};

document.addEventListener("head-atlas:key", (event) => {
  const action = sheetKeys[event.detail];
  if (!action) return;
  event.preventDefault();
  action();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && columns?.open) toggleColumns();
});
