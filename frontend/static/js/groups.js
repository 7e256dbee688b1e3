// The groups of the form, their numbers, and what a typed beginning of a name may mean.
import {
  $,
  $$,
  form,
  groups,
  hidden,
  label,
  labels,
  part,
  plain,
  recordPath,
  rows,
  rules,
  stored,
} from "./elements.js";
import { fillIn } from "./rules.js";

const members = (number) => labels().filter(({ value }) => value === `${number}`);

// Whether the group is one of the record: whether a feature is in it.
export const used = (item) => members(groups().indexOf(item) + 1).length > 0;

// Whether no other group may have the group's number: one that was emptied on this page keeps it, too.
const keepsNumber = (item) => part(item, "abstraction") !== "offered" || used(item);

function makeItem(name, family = "", abstraction = "") {
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

const isNamed = (name) => (item) => plain(part(item, "name")) === plain(name);
export const find = (name) => groups().find(isNamed(name));

// Where this browser keeps the numbers of an atlas. A second look keeps its own, for it must not show the names of the
// first, and begins with those of the atlas.
function memory() {
  const [path, who] = [recordPath(), `numbers ${form().dataset.annotator}`];
  const ofAtlas = `${who} ${path.split("/")[1]}`;
  return [path.includes("?") ? `${who} ${path}` : ofAtlas, ofAtlas];
}

// The groups that have a number, the one that was in use longest ago first: [name, number, family, whether it ever was].
let known = null;

// An earlier version kept numbers by name.
function kept(key) {
  const list = stored((storage) => JSON.parse(storage.getItem(key)));
  return list && (list.map ? list : Object.entries(list));
}

// How long ago the group was in use in this browser: the less, the longer. Below zero it never was.
function age(item) {
  const at = known.findIndex(([name]) => isNamed(name)(item));
  return used(item) ? Infinity : known[at]?.[3] ? at : -1;
}

const byAge = (items) => items.slice(0, rules().n_keys).sort((a, b) => age(a) - age(b));

export function remember() {
  const items = groups();
  const entry = (item) => [part(item, "name"), items.indexOf(item) + 1, part(item, "family"), age(item) >= 0];
  known = byAge(items).map(entry);
  if (items.length) stored((storage) => storage.setItem(memory()[0], JSON.stringify(known)));
}

function first(items, isFree) {
  const at = items.findIndex(isFree);
  return at < 0 ? items.length : at;
}

// The place that a group has, or takes as it comes into use: the first without a group that ever was in use, else that
// of the offered group that was in use longest ago.
export function placeOf(item, items = groups()) {
  const at = items.indexOf(item);
  const { n_keys: n } = rules();
  if (at >= 0 && at < n) return at;
  const free = first(items, (each) => !each || (!keepsNumber(each) && age(each) < 0));
  if (free < n) return free;
  const oldest = byAge(items).find((each) => !keepsNumber(each));
  return oldest ? items.indexOf(oldest) : at < 0 ? items.length : at;
}

// Gives a group its place in the list; whose place it takes goes to the end, and the page says so.
function seat(item, items) {
  const [at, to] = [items.indexOf(item), placeOf(item, items)];
  const old = items[to];
  if (old === item) return;
  if (at >= 0) items.splice(at, 1);
  items[to] = item;
  if (!old) return;
  items.push(old);
  const values = { name: part(item, "name"), n: to + 1, old: part(old, "name") };
  $("#completes").append(fillIn(rules().words.was, values), " ");
}

// Gives each group the number that it has in this browser. Where the page is open, groups in use stay where they are,
// whatever another tab has done.
export function recall(open = false) {
  const [own, ofAtlas] = memory();
  const mine = kept(own);
  if (open) known = null;
  known ??= mine ?? kept(ofAtlas) ?? [];
  const inUse = groups().filter(keepsNumber);
  const items = [];
  if (open) for (const item of inUse) items[groups().indexOf(item)] = item;
  for (const [name, number, family] of known) {
    const item = find(name) ?? ((mine || own === ofAtlas) && makeItem(name, family, "offered"));
    if (item && number <= rules().n_keys && !items.includes(item)) items[number - 1] ??= item;
  }
  for (const item of inUse) seat(item, items);
  for (const item of open ? [] : groups()) if (!items.includes(item)) items[first(items, (each) => !each)] = item;
  arrange(items.flat());
  $("#groups").classList.add("numbered");
}

export const isOfNumbers = (key) => key === memory()[0];

// The number of the group of that name, which comes into use: no number changes but that of the group whose place it takes.
export function numberOf(name, family = "", abstraction = "") {
  const items = groups();
  const item = find(name) ?? makeItem(name, family, abstraction);
  seat(item, items);
  arrange(items);
  return items.indexOf(item) + 1;
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
