// Annotating by keyboard, and saving by itself. The form works without any of this: each action is a button of it.
import { commandOf, enterSubmits, keyOf, offer } from "./bindings.js";
import {
  $,
  $$,
  accept,
  cite,
  completions,
  counted,
  draw,
  drop,
  find,
  form,
  groups,
  label,
  menus,
  numberOf,
  putLabel,
  read,
  recall,
  release,
  rows,
  rules,
  stored,
  used,
  write,
} from "./form.js";
import { Queue } from "./queue.js";
import { fillIn } from "./rules.js";
import { abandoned, keep, post, send, sendOthers } from "./server.js";

const clock = (iso) => new Date(iso).toLocaleTimeString("en-GB");
const words = (name, values = {}) => fillIn(rules().words[name], values);
const DELAY = 400;
const RETRY_S = 5;
let queue = null;
let timer = 0;
let wake = () => {};
let current = null; // the row of the next label
let looked = null; // the row that was labelled last, from which the cursor went on by itself
let awaitsRole = false;
let asked = false; // whether it was said that features are open
let left = false;
let held = []; // keys that wait until the form is as the record is
let idle = ""; // what is said while nothing is under way
let conflictBase = null; // the version from which a merge that waits for its choices began
let choice = 0; // which of the names that a beginning may mean

function say(text, bad = false) {
  $("#saved").textContent = text;
  $("#saved").classList.toggle("bad", bad);
}

const ask = (text) => {
  $("#asks").textContent = text;
};

// Whether a submitted head waits for its answer: until then no key means anything.
const leaves = (request) => request && rules().finishing.includes(request.action) && !request.tries;
const leaving = () => left || [queue.request, ...queue.commands].some(leaves);

function freeze() {
  const main = $("#main");
  const was = main.inert;
  main.inert = leaving();
  if (was && !main.inert) row()?.focus({ preventScroll: true });
}

function store(gone = false) {
  keep(conflictBase ?? queue.request?.version ?? page.version, page.status, queue.outstanding(), gone);
}

function touch() {
  asked = false;
  ask("");
  draw(queue.pending());
  store();
  if (page.merging) return say(words("choose"), true);
  say("saving");
  clearTimeout(timer);
  timer = setTimeout(() => queue.flush(), DELAY);
}

// Until the next try; what is edited meanwhile waits behind it.
async function pause() {
  freeze();
  replay();
  for (let s = RETRY_S; s > 0; s--) {
    say(`not saved; kept in this browser, trying again in ${s} s`, true);
    store();
    const woken = await new Promise((resolve) => {
      wake = () => resolve(true);
      setTimeout(resolve, 1000);
    });
    if (woken) break;
  }
  say("saving");
}

const page = {
  read,
  write,
  get version() {
    return Number(form().elements.base_version.value);
  },
  get status() {
    return form().elements.status.value;
  },
  get merging() {
    return Boolean($(".warning button"));
  },
  fields() {
    const apart = ["new_group", "base_version", "status", "suggestion", "from_label"];
    return [...new FormData(form())].filter(([name]) => !apart.includes(name));
  },
  // The server has it; `all`: nothing has been edited or asked for since.
  accepts({ action }, reply, all) {
    form().elements.base_version.value = reply.version;
    form().elements.status.value = reply.status;
    $("#counts").textContent = reply.counts;
    $("#changes").textContent = reply.changes.join(" ");
    $("#novel").textContent = reply.novel.length ? words("novel", { names: reply.novel.join(", ") }) : "";
    for (const step of ["undo", "redo"]) $(`[value=${step}]`, form()).disabled = !reply[`can_${step}`];
    idle = `saved ${clock(reply.saved_at)}`;
    if (!all || !rules().finishing.includes(action)) return;
    left = true;
    location.assign(reply.next);
  },
  refuses(reply) {
    say(reply.error, true);
    if (reply.code !== 401) return;
    left = true;
    location.assign(reply.login || "/login");
  },
  // The page as the server draws it, in place of this one; not where it is the same.
  replace({ action }, { code, html }) {
    const fresh = new DOMParser().parseFromString(html, "text/html").getElementById("main");
    if (!$("#annotation", fresh ?? document.createElement("p"))) {
      left = true;
      location.reload();
      return false;
    }
    const version = Number($("[name=base_version]", fresh).value);
    if (action === "refresh" && code === 200 && version === page.version) return false;
    restore = place();
    $("#main").replaceWith(document.adoptNode(fresh));
    recall();
    showKeys();
    return true;
  },
  replaced({ action, version }, { code, ok }) {
    conflictBase = code === 409 ? version : null;
    localise();
    restore();
    if (ok && ["undo", "redo", "reveal"].includes(action)) idle = `${action}: done`;
    if (!ok) say($(".warning p").textContent, true);
    if (!ok && !typing(document.activeElement)) $(".warning").focus();
    draw(queue.pending());
  },
  rests() {
    draw(queue.pending());
    store();
    if (!queue.pending().length) say(idle);
    freeze();
    replay();
  },
};

const typing = (element) => element.closest("input:not([type=checkbox], [type=radio]), textarea, select");

// Gives back what the eye and the hand were at: the scroll, opened rows, the field with its caret, a name half typed.
let restore = () => {};
function place() {
  const at = document.activeElement;
  const row = at.closest("article.feature-entry")?.id ?? current;
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

function row() {
  const all = rows();
  return (
    all.find((each) => each.contains(document.activeElement)) ??
    all.find((each) => each.id === current) ??
    all.find((each) => !label(each.id).value)
  );
}

function assign(value, suggested = false) {
  const target = row();
  if (value && value !== "unclear" && !groups()[value - 1]) return ask(words("no_group", { n: value }));
  if (!target) return;
  label(target.id).value = value;
  accept(target.id, suggested);
  const all = rows();
  const at = all.indexOf(target);
  const next = value && [...all.slice(at + 1), ...all.slice(0, at)].find((each) => !label(each.id).value);
  current = (next || target).id;
  (next || target).focus({ preventScroll: true });
  (next || target).scrollIntoView({ block: "nearest" });
  looked = target.id;
  touch();
}

// Puts features that have no group yet into the groups of the pairs “feature group”.
function putAll(pairs, suggested) {
  for (const pair of pairs.filter(Boolean)) {
    const at = pair.indexOf(" ");
    const feature = pair.slice(0, at);
    if (label(feature)?.value) continue;
    putLabel(feature, `=${pair.slice(at + 1)}`);
    accept(feature, suggested);
  }
  touch();
}

const suggestions = () => ($("[name=suggestion]", form())?.value ?? "").split(";");

function acceptOne() {
  const name = row() && $(".suggestion span", row());
  if (!name) return;
  putLabel(row().id, `=${name.textContent}`);
  assign(label(row().id).value, true);
}

// What Enter in the field of a new group would do: the group that is meant, or none for a new one.
function meant() {
  const names = completions($("#new-group").value);
  return names[choice % (names.length + 1)] ?? null;
}

function hint() {
  const typed = $("#new-group").value.trim();
  const name = meant();
  const item = name && find(name);
  const n = groups().findIndex((each) => !used(each)) + 1 || groups().length + 1;
  const text = item
    ? words("into", { name, n: groups().indexOf(item) + 1 })
    : words(name ? "known" : "new", { name: name ?? typed, n });
  $("#completes").textContent = typed ? text : "";
}

function addGroup(anew = false) {
  const field = $("#new-group");
  const typed = field.value.trim();
  const name = (!anew && meant()) || typed;
  field.value = "";
  choice = 0;
  if (!typed) return field.blur();
  const n = numberOf(name);
  assign(`${n}`);
  touch();
  $("#completes").textContent = words("is", { name, n });
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

function citing(kind, target) {
  const note = cite(kind, target);
  touch();
  note.focus();
}

// What was looked at: the example that has the focus, else the row that was labelled last or has the cursor.
function citeLooked() {
  const example = $(".cite-example", document.activeElement.closest(".example-row") ?? document.createElement("p"));
  const target = document.getElementById(looked) ?? row();
  if (example) press(example.value);
  else if (target?.dataset.strongest) citing("example", `${target.id}:${target.dataset.strongest}`);
  else if (target) citing("feature", target.id);
}

function settle(action) {
  const of = counted();
  const open = of.filter((value) => !value).length;
  if (action === "submit" && open && !form().elements.override.value && !asked) {
    asked = true;
    return ask(words("ask_open", { open, total: of.length }));
  }
  ask("");
  queue.push(action);
  freeze();
}

// What a button of the form does, at once and here; only steps back and what was hidden need the server.
function press(whole) {
  const [action, ...rest] = whole.split(":");
  if (leaving()) return;
  if (page.merging) {
    if (action === "save") queue.push("save", true);
    else say(words("choose"), true);
  } else if (rules().finishing.includes(action)) settle(action);
  else if (["undo", "redo", "reveal"].includes(action)) queue.push(action, true);
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
  else queue.flush();
}

function edit(change) {
  change();
  touch();
}

function focusNewGroup() {
  $("#new-group").focus();
  $("#new-group").select();
}

const keys = {
  0: () => assign(""),
  "-": () => assign("unclear"),
  g: focusNewGroup,
  y: acceptOne,
  Y: () => press("accept"),
  r: () => {
    awaitsRole = true;
    ask(words("which_role"));
  },
  "[": () => confidence(-1),
  "]": () => confidence(1),
  c: citeLooked,
  m: () => $("[name=notes]").focus(),
  u: () => press("undo"),
  U: () => press("redo"),
  s: () => press("skip"),
};

function take(event, action, ...given) {
  event.preventDefault();
  event.stopImmediatePropagation();
  // A key that is held down is pressed once.
  if (!event.repeat) action?.(...given);
}

// Out of a field, back to the row that the cursor is at.
function backToRow(field) {
  field.blur();
  const was = looked;
  row()?.focus({ preventScroll: true });
  looked = was;
}

function inField(event) {
  const { key, target } = event;
  if (target.id === "new-group" && (key === "ArrowDown" || key === "ArrowUp")) {
    choice = Math.max(0, choice + (key === "ArrowDown" ? 1 : -1));
    take(event, hint);
  } else if (key === "Enter" && target.type === "text" && target.form === form())
    take(event, target.id === "new-group" ? () => addGroup(event.shiftKey) : () => backToRow(target));
}

// Before the keys of all pages, for some are taken here: after r, any letter is.
function onKey(event) {
  if (!form() || $("dialog[open]")) return;
  const { key, target, metaKey, ctrlKey, altKey } = event;
  const role_ = awaitsRole && !["Shift", "CapsLock"].includes(key);
  const letter = role_ && key.length === 1 && !(metaKey || ctrlKey || altKey);
  if (role_) {
    awaitsRole = false;
    ask("");
  }
  if (held && !typing(target) && !metaKey && !altKey && (!ctrlKey || key === "Enter")) {
    if (!ctrlKey && (key.length === 1 || key === "Enter")) held.push(key);
    return take(event);
  }
  if (leaving() && !metaKey && !altKey && (!ctrlKey || key === "Enter")) return take(event);
  if (key === "Enter" && ctrlKey) return take(event, press, "submit");
  if (typing(target)) return inField(event);
  if (metaKey || ctrlKey || altKey || key === "Shift" || stored((place) => place.getItem("keys")) === "off") return;
  if (key === "Enter" && enterSubmits() && !target.closest("a, button, summary, input"))
    return take(event, press, "submit");
  const command = commandOf(key);
  const isGroup = command >= 1 && command <= rules().n_keys;
  if (!letter && !isGroup && !keys[command]) {
    // A key whose command has another one means nothing.
    if (!command) take(event);
    return;
  }
  if (page.merging) return take(event, say, words("choose"), true);
  if (letter) take(event, role, key);
  else if (isGroup) take(event, assign, command);
  else take(event, keys[command]);
}
addEventListener("keydown", onKey, true);

document.addEventListener("focusin", ({ target }) => {
  const at = target.closest("article.feature-entry")?.id;
  if (at) [current, looked] = [at, null];
});
addEventListener("pointerdown", () => {
  awaitsRole = false;
});

document.addEventListener("input", ({ target }) => {
  if (!form() || target.form !== form()) return;
  if (target.id === "new-group") {
    choice = 0;
    return hint();
  }
  if (target.name.startsWith("take:")) return;
  if (target.name.startsWith("label:")) accept(target.closest("article").id, false);
  if (target.name === "group_name") menus();
  touch();
});

document.addEventListener("submit", (event) => {
  if (event.target !== form()) return;
  event.preventDefault();
  press(event.submitter?.value ?? "save");
});

// A row that is opened comes as it is stored; what has been chosen since stays, before any key is heard.
new MutationObserver((records) => {
  const gone = records.flatMap(({ removedNodes }) => [...removedNodes]);
  const old = gone.filter((node) => node.matches?.("article.feature-entry") && form() && label(node.id));
  if (!old.length) return;
  menus();
  for (const was of old) {
    label(was.id).value = $("[name^='label:']", was)?.value ?? "";
    accept(was.id, Boolean($("[name=accepted]", was)));
  }
  showKeys();
}).observe(document.body, { childList: true, subtree: true });

addEventListener("online", () => wake());

addEventListener("pagehide", () => {
  if (!form()) return;
  store(true);
  if (left) return;
  const [only, ...more] = queue.outstanding();
  const { version, status } = page;
  if (only && !more.length && !queue.request && !page.merging) post({ ...only, version, status }).catch(() => null);
});

// Back shows a page from before: it is renewed from the store, and from what was not stored when it was left.
addEventListener("pageshow", ({ persisted }) => {
  if (!form() || !persisted) return;
  left = false;
  held = [];
  wake();
  freeze();
  queue.push("refresh", true);
});

function localise() {
  const at = $("#saved").dataset.at;
  if (at) say(`${page.status}, saved ${clock(at)}`);
  idle = $("#saved").textContent;
}

// Keys that were pressed before this script was there, or before the form was as the record is.
function replay() {
  const waited = held ?? [];
  held = null;
  for (const key of waited) {
    const at = document.activeElement;
    if (typing(at) && key.length === 1) {
      at.setRangeText(key, at.selectionStart, at.selectionEnd, "end");
      at.dispatchEvent(new Event("input", { bubbles: true }));
    } else if (key !== "s" || awaitsRole)
      at.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  }
}

// The keys that the page shows are those that are bound.
function showKeys() {
  for (const key of $$("#annotation kbd:not(#groups kbd, #roles kbd), .suggestion kbd")) {
    key.dataset.command ??= key.textContent;
    key.textContent = keyOf(key.dataset.command);
  }
  draw(queue?.pending());
}

async function start() {
  recall();
  showKeys();
  localise();
  queue = new Queue(page, send, pause);
  offer([...Array.from({ length: rules().n_keys }, (_, at) => `${at + 1}`), ...Object.keys(keys).sort()], showKeys);
  dispatchEvent(new CustomEvent("head-atlas:annotating", { detail: (early) => held.push(...early) }));
  const back = performance.getEntriesByType("navigation")[0]?.type === "back_forward";
  if (back || abandoned().some(({ here }) => here)) queue.push("refresh", true);
  else replay();
  const heads = await sendOthers();
  if (heads.length) ask(words("waits", { names: heads.join(", ") }));
}

if (form()) start();
