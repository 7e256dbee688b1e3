// The groups of the form, their numbers, and what a typed beginning of a name may mean.
import {
  $,
  $$,
  address,
  form,
  groups,
  hidden,
  label,
  labels,
  part,
  plain,
  recordPath,
  rows,
  stored,
} from "./elements.js";

const members = (number) => labels().filter(({ value }) => value === `${number}`);

// Whether the group is one of the record: whether a feature is in it.
export const used = (item) => members(groups().indexOf(item) + 1).length > 0;

// Whether no other group may have the group's number: one that was emptied on this page keeps it, too.
export const keepsNumber = (item) => part(item, "abstraction") !== "offered" || used(item);

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
  return [`${who} ${recordPath()}`, `${who} ${model}`];
};

// Gives each group the number that it had on this head, else on the last; a group in use goes before an offered one.
export function recall() {
  const [here, last] = memory().map((key) => stored((place) => JSON.parse(place.getItem(key))) ?? {});
  const items = groups();
  const places = Array(items.length).fill(null);
  const wanted = new Map(items.map((item) => [item, [here, last].map((each) => each[plain(part(item, "name"))])]));
  const [inside, offered] = [items.filter(keepsNumber), items.filter((item) => !keepsNumber(item))];
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
  const numbers = groups().map((item, at) => [plain(part(item, "name")), at + 1]);
  const text = JSON.stringify(Object.fromEntries(numbers));
  for (const key of numbers.length ? memory() : []) stored((place) => place.setItem(key, text));
}

export const find = (name) => groups().find((item) => plain(part(item, "name")) === plain(name));

// The number of the group of that name. A new one takes the first number that no other group keeps; what was offered
// there goes to the end, and no other number changes.
export function numberOf(name, family = "", abstraction = "") {
  const present = find(name);
  if (present) return groups().indexOf(present) + 1;
  const items = groups();
  const at = items.findIndex((item) => !keepsNumber(item));
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
