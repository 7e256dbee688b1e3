// What the form says, as a map of names and values; and changes of it, made on the form as it is now.
import { draw } from "./drawing.js";
import { $, $$, form, groups, hidden, label, part, plain, rules } from "./elements.js";
import { evidence, putEvidence } from "./evidence.js";
import { numberOf, release, used } from "./groups.js";
import { changes } from "./queue.js";

// A field of the record is read and written by the type of its inputs: each checkbox is one of its values, of radio
// buttons the checked one says it, any other input says its own.
const isField = (name) => rules().fields.includes(name);

// A map of what is said. What is not said has no entry.
export function read() {
  const state = new Map();
  const items = groups();
  for (const { name, value, type, checked } of form().elements) {
    const group = items[value - 1];
    if (name.startsWith("label:")) {
      if (value) state.set(name, group ? `=${part(group, "name")}` : value);
    } else if (name === "accepted") state.set(`accepted ${value}`, true);
    else if (isField(name) && type === "checkbox") {
      if (checked) state.set(`${name} ${value}`, true);
    } else if (isField(name) && (checked || type !== "radio")) state.set(name, value);
  }
  for (const item of items.filter(used)) {
    // The server gives a family to a group that has no menu for it yet.
    const [family, level] = ["family", "abstraction"].map((each) => $(`select[name=group_${each}]`, item)?.value ?? "");
    state.set(`group ${plain(part(item, "name"))}`, JSON.stringify([part(item, "name"), family, level]));
  }
  for (const item of $$("#evidence li")) {
    const { kind, target, note } = evidence(item);
    const key = `evidence ${kind} ${target}`;
    state.set(state.has(key) ? `copy ${state.size}` : key, note.value);
  }
  return state;
}

// Makes on the form, as it is now, every change that lies between the two states.
export function write(before, after) {
  const order = (key) => (key.startsWith("group ") ? (after.has(key) ? 0 : 2) : 1);
  for (const key of changes(before, after).sort((a, b) => order(a) - order(b))) put(key, after.get(key));
  draw();
}

function put(key, value) {
  const [name, ...rest] = key.split(" ");
  const what = rest.join(" ");
  if (name === "group") putGroup(what, value);
  else if (name.startsWith("label:")) putLabel(name.slice(6), value);
  else if (name === "evidence") putEvidence(rest[0], rest.slice(1).join(" "), value);
  else if (name === "accepted") accept(what, value);
  else if (isField(name)) for (const control of $$(`[name=${name}]`, form())) putField(control, what, value);
}

function putField(control, what, value) {
  if (control.type === "radio") control.checked = control.value === value;
  else if (control.type !== "checkbox") control.value = value ?? "";
  else if (control.value === what) control.checked = Boolean(value);
}

function putGroup(name, value) {
  const item = groups().find((each) => plain(part(each, "name")) === name);
  if (value === undefined) return item && !used(item) && release(item);
  const [text, family, level] = JSON.parse(value);
  // A new group changes the list.
  const number = numberOf(text, family, level);
  const place = groups()[number - 1];
  if (family) $("[name=group_family]", place).value = family;
  if (level) $("[name=group_abstraction]", place).value = level;
  $("[name=group_name]", place).value = text;
}

export function putLabel(feature, value = "") {
  const number = value.startsWith("=") ? `${numberOf(value.slice(1), "", "offered")}` : value;
  if (!label(feature)) form().append(hidden(`label:${feature}`, ""));
  label(feature).value = number;
}

export function accept(feature, yes = true) {
  for (const input of $$(`[name=accepted][value="${feature}"]`)) input.remove();
  if (yes) (document.getElementById(feature) ?? form()).append(hidden("accepted", feature));
}
