// The annotation form: its rows, its groups and their numbers; what it says, in names and values; what is drawn of it.
import { keyOf } from "./bindings.js";
import { changes } from "./queue.js";
import { fillIn, headType, plainName } from "./rules.js";

export const $ = (selector, from = document) => from.querySelector(selector);
export const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
export const form = () => $("#annotation");
export const address = () => form().getAttribute("action"); // form.action would be the buttons of that name
export const label = (feature) => form().elements[`label:${feature}`];
export const labels = () => [...form().elements].filter((control) => control.name.startsWith("label:"));
export const rows = () => $$("article.feature-entry").filter((row) => label(row.id));
export const groups = () => $$("#groups li");
export const part = (item, name) => $(`[name=group_${name}]`, item).value;
let ruleData = null;
export const rules = () => (ruleData ??= JSON.parse(form().dataset.rules));
export const plain = (name) => plainName(name, rules().names);

// Storage may be full or switched off: then the page alone holds what is not saved.
export function stored(use) {
  try {
    return use(localStorage);
  } catch {
    return null;
  }
}

export function hidden(name, value) {
  const input = Object.assign(document.createElement("input"), { type: "hidden", name, value });
  input.setAttribute("form", "annotation");
  return input;
}

const members = (number) => labels().filter(({ value }) => value === `${number}`);

// Whether the group at that place of the list is one of the record: named by hand, or with a feature in it.
const inUse = (item, at) => part(item, "abstraction") !== "offered" || members(at + 1).length > 0;
export const used = (item) => inUse(item, groups().indexOf(item));

function makeItem(name, family, abstraction) {
  const item = document.createElement("li");
  const input = Object.assign(document.createElement("input"), { name: "group_name", value: name });
  const dot = Object.assign(document.createElement("i"), { className: "dot" });
  item.append(document.createElement("kbd"), dot, input, document.createElement("b"));
  item.append(hidden("group_family", family), hidden("group_abstraction", abstraction));
  return item;
}

// Menus of groups, in place of the fields that do without scripts.
export function menus() {
  const made = [["no group", ""], ...groups().map((item, i) => [part(item, "name"), i + 1]), ["unclear", "unclear"]];
  for (const { id } of rows()) {
    const { name, value, ariaLabel } = label(id);
    const menu = document.createElement("select");
    menu.append(...made.map((option) => new Option(...option)));
    Object.assign(menu, { name, value, ariaLabel });
    menu.setAttribute("form", "annotation");
    label(id).replaceWith(menu);
  }
}

// The list in that order: a group's place is its number, its key, and the value of its features.
function arrange(items) {
  const numbers = new Map(groups().map((item, at) => [`${at + 1}`, `${items.indexOf(item) + 1}`]));
  const values = new Map(labels().map(({ name, value }) => [name, numbers.get(value) ?? value]));
  $("#groups").replaceChildren(...items);
  items.forEach((item, at) => {
    $("[name=group_name]", item).setAttribute("aria-label", `Group ${at + 1}`);
    const drop = $("button", item);
    if (drop) drop.value = `drop_group:${at + 1}`;
  });
  menus();
  for (const control of labels()) control.value = values.get(control.name) ?? "";
}

// Keys of numbers that this browser remembers: those of this head, and those of the head before it.
const memory = () => {
  const [, model] = address().split("/");
  const who = `numbers ${form().dataset.annotator}`;
  return [`${who} ${address().split("?")[0]}`, `${who} ${model}`];
};

// Gives each group the number that it had on this head, else on the last; a group in use goes before an offered one.
export function recall() {
  const [here, last] = memory().map((key) => stored((place) => JSON.parse(place.getItem(key))) ?? {});
  const items = groups();
  const places = Array(items.length).fill(null);
  const wanted = new Map(items.map((item) => [item, [here, last].map((each) => each[plain(part(item, "name"))])]));
  const [inside, offered] = [items.filter(used), items.filter((item) => !used(item))];
  const take = (item, number) => {
    if (!number || number > places.length || places[number - 1] || places.includes(item)) return;
    places[number - 1] = item;
  };
  for (const item of inside) take(item, wanted.get(item)[0]);
  for (const item of inside) take(item, places.indexOf(null) + 1);
  for (const item of offered) for (const number of wanted.get(item)) take(item, number);
  for (const item of offered) take(item, places.indexOf(null) + 1);
  arrange(places);
  $("#groups").classList.add("numbered");
}

export function remember() {
  const numbers = groups().flatMap((item, at) => (inUse(item, at) ? [[plain(part(item, "name")), at + 1]] : []));
  const text = JSON.stringify(Object.fromEntries(numbers));
  for (const key of numbers.length ? memory() : []) stored((place) => place.setItem(key, text));
}

export const find = (name) => groups().find((item) => plain(part(item, "name")) === plain(name));

// The number of the group of that name. A new one takes the first number that no group in use has; what was offered
// there goes to the end, and no other number changes.
export function numberOf(name, family = "", abstraction = "") {
  const present = find(name);
  if (present) return groups().indexOf(present) + 1;
  const items = groups();
  const at = items.findIndex((item, place) => !inUse(item, place));
  const made = makeItem(name, family, abstraction);
  if (at < 0) items.push(made);
  else items.push(...items.splice(at, 1, made));
  arrange(items);
  return items.indexOf(made) + 1;
}

// Takes a group out of the record; it is offered at the same number.
export function release(item) {
  const at = groups().indexOf(item);
  for (const control of members(at + 1)) control.value = "";
  const offer = makeItem(part(item, "name"), part(item, "family"), "offered");
  arrange(groups().with(at, offer));
}

// What a typed beginning may mean, the likeliest first: groups in use, those that are offered, the atlas's other names.
// Exactly that name comes before all.
export function completions(typed) {
  const items = groups();
  const names = [...items.filter(used), ...items.filter((item) => !used(item))].map((item) => part(item, "name"));
  for (const { value } of $$("#vocabulary option")) if (!find(value)) names.push(value);
  const text = plain(typed);
  const begun = text ? names.filter((name) => plain(name).startsWith(text)) : [];
  const exact = begun.filter((name) => plain(name) === text);
  return exact.length ? exact : begun;
}

const SINGLE = ["override", "override_reason", "k", "ranking", "notes"];
const CHOSEN = ["confidence", "knew_before"];
const MARKED = ["roles", "surprising", "accepted"];

// A map of what is said. What is not said has no entry.
export function read() {
  const state = new Map();
  const items = groups();
  for (const { name, value, type, checked } of form().elements) {
    const group = items[value - 1];
    if (name.startsWith("label:")) {
      if (value) state.set(name, group ? `=${part(group, "name")}` : value);
    } else if (SINGLE.includes(name)) state.set(name, value);
    else if (CHOSEN.includes(name) && checked) state.set(name, value);
    else if (MARKED.includes(name) && (checked || type === "hidden")) state.set(`${name} ${value}`, true);
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

function evidence(item) {
  const [kind, target] = ["kind", "target"].map((name) => $(`[name=evidence_${name}]`, item).value);
  return { kind, target, note: $("[name=evidence_note]", item) };
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
  else if (MARKED.includes(name))
    for (const box of $$(`[name=${name}][value="${CSS.escape(what)}"]`, form())) box.checked = Boolean(value);
  else if (CHOSEN.includes(name)) for (const box of $$(`[name=${name}]`, form())) box.checked = box.value === value;
  else if (SINGLE.includes(name)) form().elements[name].value = value ?? "";
}

function putGroup(name, value) {
  const item = groups().find((each) => plain(part(each, "name")) === name);
  if (value === undefined) return item && release(item);
  const [text, family, level] = JSON.parse(value);
  const place = groups()[numberOf(text, family, level) - 1];
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

const link = (kind, target) =>
  $$("#evidence li").find((item) => evidence(item).kind === kind && evidence(item).target === target);

function putEvidence(kind, target, note) {
  if (note === undefined) return link(kind, target) && drop(link(kind, target));
  cite(kind, target).value = note;
}

export function drop(item) {
  item.remove();
  number();
}

function number() {
  $$("#evidence li").forEach((item, at) => {
    $("b", item).textContent = at + 1;
    const button = $("button", item);
    button.value = `drop_evidence:${at + 1}`;
    button.setAttribute("aria-label", `Remove evidence ${at + 1}`);
    evidence(item).note.setAttribute("aria-label", `Claim that evidence ${at + 1} supports`);
  });
}

// The words of a piece of evidence, as the server says them.
function words(kind, target) {
  const [feature, sequence, position] = target.split(":");
  const index = feature.split("F")[1];
  const { words: said } = rules();
  if (kind === "example" || kind === "feature")
    return fillIn(position ? said.cited_example : said.cited_feature, { index, sequence, position });
  return fillIn(said.cited_other, { kind, target });
}

// The field for what the evidence shows, whose place in the list is made where it is not cited yet.
export function cite(kind, target) {
  const present = link(kind, target);
  if (present) return evidence(present).note;
  const item = document.createElement("li");
  const make = (tag, values) => Object.assign(document.createElement(tag), values);
  const place = document.getElementById(target.split(":")[0]);
  const name = make(place ? "a" : "span", { textContent: words(kind, target), ...(place && { href: `#${place.id}` }) });
  const button = make("button", { className: "link", name: "action", textContent: "×" });
  const note = make("input", { name: "evidence_note", placeholder: rules().words.claim });
  item.append(document.createElement("b"), hidden("evidence_kind", kind), hidden("evidence_target", target));
  item.append(name, button, note);
  $("#evidence").append(item);
  number();
  return note;
}

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
export function draw(pending = null) {
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
    $("kbd", item).textContent = i < rules().n_keys ? keyOf(`${i + 1}`) : "";
    $("b", item).textContent = [...all.values()].filter((value) => value === `${i + 1}`).length;
    $(".dot", item).className = `dot family-${part(item, "family") || "none"}`;
    item.classList.toggle("off", !used(item));
    $("[name=group_name]", item).readOnly = part(item, "abstraction") === "offered";
  });
  remember();
  drawType();
}

function drawType() {
  const of = counted();
  const open = of.filter((value) => !value).length;
  const given = form().elements.override.value;
  const { types, words: said } = rules();
  const type = given || (open ? "" : headType(of, types));
  const sizes = new Set(of.filter((value) => value > 0));
  const soFar = sizes.size === 1 ? said.so_far_one : said.so_far;
  const some = of.some(Boolean);
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
