// A feature's page: the menu of heads, and examples that open in place. Each is a link or a form without this.
const menu = document.querySelector("details.oh");

document.addEventListener("click", (event) => {
  if (menu?.open && !menu.contains(event.target)) menu.open = false;
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !menu?.open) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

// An example of a feature opens to its whole text in place of its row.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a.fu");
  const row = link?.closest("li");
  if (!row || row.matches(".wh") || !window.htmx || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  const index = [...row.parentElement.children].indexOf(row);
  const list = row.parentElement;
  window.htmx.ajax("GET", link.getAttribute("href"), { target: row, swap: "outerHTML" }).then(() => {
    const opened = list.children[index];
    opened.tabIndex = -1;
    opened.focus();
  });
});
