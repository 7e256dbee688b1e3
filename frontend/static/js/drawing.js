// What is drawn of the form: swatches, counts, the type and the bar.
import { keyOf } from "./bindings.js";
import { currentRow } from "./cursor.js";
import { $, $$, form, groups, labels, part, rows, rules } from "./elements.js";
import { remember, used } from "./groups.js";
import { fillIn, headType } from "./rules.js";

const values = () => new Map(labels().map(({ name, value }) => [name.slice(6), value]));

// The values of the features that the type counts.
export function counted() {
  const all = values();
  return form()
    .dataset.counted.split(" ")
    .filter(Boolean)
    .map((feature) => all.get(feature) || "");
}

// What is shown of the form: swatches, counts, the type and the bar. `pending`: names of what is not stored yet.
export function draw(pending = null, heard = false) {
  const all = values();
  const items = groups();
  for (const row of rows()) {
    const value = all.get(row.id);
    const item = items[value - 1];
    const mark = $(".swatch", row);
    mark.className = `swatch family-${item ? part(item, "family") || "none" : value || "none"}`;
    mark.textContent = item ? value : value && "?";
    if (value) $(".suggestion", row)?.remove();
    row.classList.toggle("pending", Boolean(pending?.includes(`label:${row.id}`)));
  }
  items.forEach((item, i) => {
    const level = $("[name=group_abstraction]", item);
    if (used(item) && level.value === "offered") level.value = "";
    $("kbd", item).textContent = i < rules().n_keys ? keyOf(`${i + 1}`) : "";
    $("b", item).textContent = [...all.values()].filter((value) => value === `${i + 1}`).length;
    $(".dot", item).className = `dot family-${part(item, "family") || "none"}`;
    item.classList.toggle("off", !used(item));
    $("[name=group_name]", item).readOnly = level.value === "offered";
  });
  if (!heard) remember();
  drawType();
  drawTaps();
}

// What a hand without keys taps: the groups for the row that is next, and what the keys beside them do. A button's value
// is the command.
export function drawTaps() {
  const make = (tag, values) => Object.assign(document.createElement(tag), values);
  const tap = (value, textContent, className = "") =>
    make("button", { type: "button", className: `button ${className}`, value, textContent });
  const names = groups().slice(0, rules().n_keys);
  $("#taps").replaceChildren(
    make("b", {
      className: "mono",
      textContent: currentRow()?.dataset.name ?? currentRow()?.id.replace(/^L\d+/, "") ?? "",
    }),
    tap("u", "undo"),
    ...names.map((item, i) => tap(`${i + 1}`, part(item, "name"), used(item) ? "" : "off")),
    tap("-", "unclear"),
    tap("0", "none"),
    tap("c", "cite"),
  );
}

function drawType() {
  const of = counted();
  const open = of.filter((value) => !value).length;
  const given = form().elements.override.value;
  const { types, words: said } = rules();
  const ofExamples = "typeChosen" in form().dataset;
  const type = given || (open || ofExamples ? "" : headType(of, types));
  const sizes = new Set(of.filter((value) => value > 0));
  const soFar = ofExamples ? said.no_type_of_groups : sizes.size === 1 ? said.so_far_one : said.so_far;
  const some = ofExamples ? sizes.size : of.some(Boolean);
  const name = type
    ? $(`[name=override] [value=${type}]`).text
    : some
      ? fillIn(soFar, { n: sizes.size, open })
      : said.no_type;
  for (const use of $$("#type use, .mobile-summary use")) use.setAttribute("href", `#g-${type || "none"}`);
  for (const place of $$("#type b, .mobile-summary b")) place.textContent = name;
  for (const place of $$("#grouped, .mobile-summary i"))
    place.textContent = fillIn(said.grouped, { n: of.length - open, total: of.length });
  drawBar(of);
}

function drawBar(of) {
  const size = (value) => of.filter((each) => each === value).length;
  const bar = groups()
    .map((item, i) => [part(item, "family") || "none", size(`${i + 1}`)])
    .filter(([, n]) => n)
    .sort((a, b) => b[1] - a[1]);
  for (const value of of) if (!(value > 0)) bar.push(["open", 1]);
  const piece = ([family, n]) =>
    Object.assign(document.createElement("i"), {
      className: `family-${family} share-${Math.round((rules().fill_steps * n) / of.length)}`,
    });
  $("#bar").replaceChildren(...(of.some(Boolean) ? bar.map(piece) : []));
}
