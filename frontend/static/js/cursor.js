// Where the eye and the hand are: the row of the next label, the scroll, the field with its caret.
import { $, $$, label, ROW, rows, typing } from "./elements.js";

// `row`: that of the next label; `looked`: that which was labelled last, from which the cursor went on by itself.
export const cursor = { row: null, looked: null };

export function currentRow() {
  const all = rows();
  return (
    all.find((each) => each.contains(document.activeElement)) ??
    all.find((each) => each.id === cursor.row) ??
    all.find((each) => !label(each.id).value)
  );
}

// The cursor goes to the next row without a label, if it is to go on and there is one, else to that row itself.
export function goOn(from, on) {
  const all = rows();
  const at = all.indexOf(from);
  const row = (on && [...all.slice(at + 1), ...all.slice(0, at)].find((each) => !label(each.id).value)) || from;
  cursor.row = row.id;
  row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

// Out of a field, back to the row that the cursor is at.
export function backToRow(field) {
  field.blur();
  const was = cursor.looked;
  currentRow()?.focus({ preventScroll: true });
  cursor.looked = was;
}

// Gives back, when called, what the eye and the hand were at: the scroll, opened rows, the field with its caret, a name
// half typed.
export function place() {
  const at = document.activeElement;
  const row = at.closest(ROW)?.id ?? cursor.row;
  const name = at.name && `[name="${CSS.escape(at.name)}"]`;
  const nth = name ? $$(name).indexOf(at) : -1;
  const { id, selectionStart, selectionEnd } = at;
  const [top, half] = [scrollY, $("#new-group").value];
  const opened = $$(".feature-entry.open").map((each) => `#${each.id} .open-link`);
  return () => {
    $("#new-group").value = half;
    for (const link of opened) $(link)?.click();
    scrollTo(0, top);
    const again =
      (typing(at) && ($$(name || null)[nth] ?? (id && document.getElementById(id)))) || document.getElementById(row);
    again?.focus({ preventScroll: true });
    if (typeof selectionStart === "number" && again?.setSelectionRange)
      again.setSelectionRange(selectionStart, selectionEnd);
  };
}
