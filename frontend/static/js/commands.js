// What the keys and buttons of the form do to it, at once and here.
import { currentRow, cursor, goOn } from "./cursor.js";
import { $, $$, form, groups, label, rows, rules } from "./elements.js";
import { cite, drop } from "./evidence.js";
import { completions, find, numberOf, placeOf, release } from "./groups.js";
import { ask, flush, leaving, merging, request, say, settle, touch, words } from "./saving.js";
import { accept, putLabel } from "./state.js";

const NOTHING_TO_LABEL = "this head has nothing to group or to cite: up to Enter, nothing that is typed counts";

// What takes the next letter.
let awaited = null;
// Which of the names that a beginning may mean.
let choice = 0;

export function assign(value, suggested = false) {
  const target = currentRow();
  if (value && value !== "unclear" && !groups()[value - 1]) return ask(words("no_group", { n: value }));
  if (!target) return;
  label(target.id).value = value;
  accept(target.id, suggested);
  goOn(target, value);
  cursor.looked = target.id;
  touch();
}

// Puts features that have no group yet into the groups of the pairs “feature group”. What was looked
// at stays that; where nothing was, it is the first of them.
function putAll(pairs, suggested) {
  const { row, looked } = cursor;
  const open = row && !label(row)?.value;
  let first = null;
  for (const pair of pairs.filter(Boolean)) {
    const at = pair.indexOf(" ");
    const feature = pair.slice(0, at);
    if (label(feature)?.value) continue;
    first ??= feature;
    putLabel(feature, `=${pair.slice(at + 1)}`);
    accept(feature, suggested);
  }
  if (open && label(row)?.value) goOn(document.getElementById(row), true);
  cursor.looked = looked ?? row ?? first;
  touch();
}

const suggestions = () => ($("[name=suggestion]", form())?.value ?? "").split(";");

function acceptOne() {
  const row = currentRow();
  const name = row && $(".suggestion span", row);
  if (!name) return;
  putLabel(row.id, `=${name.textContent}`);
  cursor.row = row.id;
  assign(label(row.id).value, true);
}

// What Enter in the field of a new group would do: the group that is meant, or none for a new one.
function meant() {
  const names = completions($("#new-group").value);
  return names[choice % (names.length + 1)] ?? null;
}

const ofKey = (said, name, n) => words(n > rules().n_keys ? `${said}_keyless` : said, { name, n });

export function hint() {
  const typed = $("#new-group").value.trim();
  const name = meant();
  const item = name && find(name);
  const said = item ? "into" : name ? "known" : "new";
  $("#completes").textContent = typed && ofKey(said, name ?? typed, placeOf(item) + 1);
}

export function addGroup(anew = false) {
  const field = $("#new-group");
  const typed = field.value.trim();
  const name = (!anew && meant()) || typed;
  field.value = "";
  choice = 0;
  if (!typed) return field.blur();
  const says = $("#completes");
  says.textContent = "";
  const n = numberOf(name);
  assign(`${n}`);
  touch();
  says.textContent ||= ofKey("is", name, n);
}

function confidence(step) {
  const all = $$("[name=confidence]");
  const at = all.findIndex((each) => each.checked);
  const last = all.length - 1;
  all[at < 0 ? (step > 0 ? 0 : last) : Math.min(last, Math.max(0, at + step))].checked = true;
  touch();
}

function role(letter) {
  const box = $$("[name=roles]").find((each) => each.nextSibling.textContent === letter);
  if (!box) return ask(words("no_role", { key: letter }));
  box.checked = !box.checked;
  touch();
}

// Chooses the type by its letter, and asks for the reason. Groups of examples give no type, and are its reason until
// another is written.
function typeOf(letter) {
  const { override, override_reason: reason } = form().elements;
  const { type_keys: keys } = rules();
  if (!(letter in keys) && letter !== "0") return ask(words("no_type_key", { key: letter }));
  const ofExamples = "typeChosen" in form().dataset;
  override.value = keys[letter] ?? "";
  $("details.override").open = Boolean(override.value);
  if (!override.value) reason.value = "";
  else if (ofExamples) reason.value ||= words("by_examples");
  touch();
  // What is typed next is the reason, for each head alike; Enter alone leaves the one that stands there.
  if (!override.value) return;
  reason.focus();
  reason.select();
}

// Says that the head has nothing to label or cite. What would have been typed stays text: it is left out, up to Enter.
function refuse() {
  awaited = refuse;
  ask(NOTHING_TO_LABEL);
}

function awaitLetter(use, question) {
  awaited = use;
  ask(words(question));
}

function citing(kind, target) {
  const note = cite(kind, target);
  touch();
  note.focus();
}

// What was looked at: the example or score that has the focus, else the row that was labelled last or has the cursor;
// what is typed after `c` is text in any case.
function citeLooked() {
  const example = $(
    ".cite-example",
    document.activeElement.closest(".example-row, .scores > div") ?? document.createElement("p"),
  );
  const target = document.getElementById(cursor.looked) ?? currentRow() ?? rows()[0];
  if (example) press(example.value);
  else if (target?.dataset.strongest) citing("example", `${target.id}:${target.dataset.strongest}`);
  else if (target) citing(target.matches(".grouped-example") ? "example" : "feature", target.id);
  else refuse();
}

// What a button of the form does, at once and here; only steps back and what was hidden need the server.
export function press(whole) {
  const [action, ...rest] = whole.split(":");
  if (leaving()) return;
  if (merging()) {
    if (action === "save") request("save");
    else say(words("choose"), true);
  } else if (rules().finishing.includes(action)) settle(action);
  else if (["undo", "redo", "reveal"].includes(action)) request(action);
  else if (action === "add_group") addGroup();
  else if (action === "accept")
    putAll(
      suggestions().filter((pair) => !rest.length || pair.startsWith(`${rest[0]} `)),
      true,
    );
  else if (action === "propose")
    putAll(
      $$("[name=from_label]").map(({ value }) => value),
      false,
    );
  else if (action === "cite") citing(rest[0], rest.slice(1).join(":"));
  else if (action === "drop_group") edit(() => release(groups()[rest[0] - 1]));
  else if (action === "drop_evidence") edit(() => drop($$("#evidence li")[rest[0] - 1]));
  else flush();
}

function edit(change) {
  change();
  touch();
}

function focusNewGroup() {
  if (!rows().length) return refuse();
  $("#new-group").focus();
  $("#new-group").select();
}

export const commands = {
  0: () => assign(""),
  "-": () => assign("unclear"),
  g: focusNewGroup,
  y: acceptOne,
  Y: () => press("accept"),
  r: () => awaitLetter(role, "which_role"),
  t: () => awaitLetter(typeOf, "which_type"),
  "[": () => confidence(-1),
  "]": () => confidence(1),
  c: citeLooked,
  m: () => $("[name=notes]").focus(),
  u: () => press("undo"),
  U: () => press("redo"),
  s: () => press("skip"),
};

// What is done with the next letter, where one is waited for; then it is no longer.
export function takesLetter() {
  const use = awaited;
  awaited = null;
  if (use) ask("");
  return use;
}

export const letterIsAwaited = () => Boolean(awaited);

// Another of the names that the typed beginning may mean; the first one anew where none is said.
export function choose(step = null) {
  choice = step === null ? 0 : Math.max(0, choice + step);
  hint();
}
