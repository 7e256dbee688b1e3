// Annotating by keyboard, and saving by itself. The form works without any of this: each action is a button of it.
import { fillIn, headType, plainName } from "./rules.js";

const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
const form = () => $("#annotation");
const address = () => form().getAttribute("action"); // form.action would be the buttons of that name
const label = (feature) => form().elements[`label:${feature}`];
const rows = () => $$("article.feature-entry").filter((row) => label(row.id));
const groups = () => $$("#groups li");
const part = (item, name) => $(`[name=group_${name}]`, item).value;
let ruleData = null;
const rules = () => (ruleData ??= JSON.parse(form().dataset.rules));
const clock = (iso) => new Date(iso).toLocaleTimeString("en-GB");
const DELAY = 400;
const PATIENCE = 10000;
const RETRY_S = 5;
let changed = false;
let pending = null;
let sending = null;
let timer = 0;
let current = null;
let awaitsRole = false;
let sequence = 0;

function say(text, bad = false) {
  $("#saved").textContent = text;
  $("#saved").classList.toggle("bad", bad);
}

// Storage may be full or switched off: then the page alone holds what is not saved.
function stored(use) {
  try {
    return use(localStorage);
  } catch {
    return null;
  }
}

// Drafts: kept until the server has them, under whose they are, of which head, and what they grew from.
const drafts = () => `draft ${form().dataset.annotator} ${address().split("?")[0]} `;
const keep = (draft) => stored((place) => place.setItem(drafts() + draft.version, JSON.stringify(draft)));
const forget = (draft) => stored((place) => place.removeItem(drafts() + draft.version));
const kept = () =>
  stored((place) => JSON.parse(place.getItem(Object.keys(place).find((key) => key.startsWith(drafts())))));

function snapshot() {
  const fields = [...new FormData(form())].filter(([name]) => name !== "new_group");
  return { version: Number(form().elements.base_version.value), fields };
}

async function post(draft, action, asPage = false) {
  const body = new URLSearchParams(draft.fields);
  body.set("base_version", draft.version);
  body.set("action", action);
  const headers = asPage ? {} : { Accept: "application/json", "HX-Request": "true" };
  const signal = AbortSignal.timeout(PATIENCE);
  const keepalive = `${body}`.length < 60000;
  const reply = await fetch(address(), { method: "POST", body, headers, signal, keepalive });
  if (reply.status >= 500) throw new Error("no answer");
  return reply;
}

function touch() {
  changed = true;
  keep(snapshot());
  say("saving");
  clearTimeout(timer);
  timer = setTimeout(flush, DELAY);
}

function flush() {
  clearTimeout(timer);
  sending ??= send().finally(() => {
    sending = null;
  });
  return sending;
}

// One request at a time; one that got no answer goes again, word for word, before anything newer.
async function send() {
  while (pending || changed) {
    pending ??= snapshot();
    changed = false;
    const mine = ++sequence;
    const reply = await post(pending, "save").catch(() => null);
    if (mine !== sequence) return false; // overtaken
    if (!reply) return retry(RETRY_S);
    if (!(await taken(reply))) return false;
  }
  return true;
}

function retry(seconds) {
  changed = true;
  say(`not saved; kept in this browser, trying again in ${seconds} s`, true);
  clearTimeout(timer);
  timer = setTimeout(seconds > 1 ? () => retry(seconds - 1) : flush, 1000);
  return false;
}

async function taken(reply) {
  const draft = pending;
  if (reply.status === 401) return location.assign(reply.headers.get("HX-Redirect") || "/login");
  pending = null;
  if (reply.status === 409) {
    forget(draft);
    await swap(await post({ ...snapshot(), version: draft.version }, "save", true));
    return $(".warning")?.focus();
  }
  const state = await reply.json().catch(() => ({}));
  if (!reply.ok) return say(state.error || "Not saved: the server refused it.", true);
  forget(draft);
  form().elements.base_version.value = state.version;
  form().elements.status.value = state.status;
  $("#counts").textContent = state.counts;
  $("#changes").textContent = state.changes.join(" ");
  $("#novel").textContent = state.novel.length ? fillIn(rules().words.novel, { names: state.novel.join(", ") }) : "";
  for (const step of ["undo", "redo"]) $(`[value=${step}]`, form()).disabled = !state[`can_${step}`];
  if (changed) keep(snapshot());
  else say(`saved ${clock(state.saved_at)}`);
  return true;
}

// The page as the server draws it now, in place of this one.
async function swap(reply) {
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html").getElementById("main");
  if (!fresh) return location.reload();
  const at = document.activeElement.closest("article.feature-entry")?.id ?? current;
  const top = scrollY;
  const opened = $$(".feature-entry.open").map(({ id }) => `#${id} .open-link`);
  $("#main").replaceWith(document.adoptNode(fresh));
  changed = false;
  options();
  for (const link of opened) $(link)?.click();
  scrollTo(0, top);
  if (at) document.getElementById(at)?.focus({ preventScroll: true });
  localise();
}

async function press(action) {
  const settles = rules().finishing.includes(action);
  if (!(await flush()) && changed) return;
  const draft = snapshot();
  const reply = await post(draft, action, !settles).catch(() => null);
  if (!reply) return say("not saved: the server does not answer; labels are kept", true);
  if (!settles) {
    await swap(reply);
    if (reply.ok) say(`${action.split(":")[0].replace("_", " ")}: done`);
  } else if (reply.ok) location.assign((await reply.json()).next);
  else {
    pending = draft;
    await taken(reply);
  }
}

// Swatches, counts and the type, from the form as it is.
function refresh() {
  const labels = [...form().elements].filter((control) => control.name.startsWith("label:"));
  const values = Object.fromEntries(labels.map((control) => [control.name.slice(6), control.value]));
  const items = groups();
  for (const row of rows()) {
    const value = values[row.id];
    const item = items[value - 1];
    const mark = $(".swatch", row);
    mark.className = `swatch family-${item ? part(item, "family") : value || "none"}`;
    mark.textContent = item ? value : value && "?";
  }
  items.forEach((item, i) => {
    const n = Object.values(values).filter((value) => value === `${i + 1}`).length;
    $("b", item).textContent = n;
    $(".dot", item).className = `dot family-${part(item, "family")}`;
    if (n) item.classList.remove("off");
  });
  const counted = form()
    .dataset.counted.split(" ")
    .filter(Boolean)
    .map((feature) => values[feature] || "");
  const open = counted.filter((value) => !value).length;
  const given = form().elements.override.value;
  const { types, words, fill_steps: steps } = rules();
  const type = given || headType(counted, types);
  const name = type ? $(`[name=override] [value=${type}]`).text : words.no_type;
  for (const use of $$("#type use, .mobile-summary use")) use.setAttribute("href", `#g-${type || "none"}`);
  for (const place of $$("#type b, .mobile-summary b")) place.textContent = name;
  $("#type i").textContent = open && type && !given ? words.provisional : "";
  for (const place of $$("#grouped, .mobile-summary i"))
    place.textContent = fillIn(words.grouped, { n: counted.length - open, total: counted.length });
  const size = (value) => counted.filter((each) => each === value).length;
  const bar = items
    .map((item, i) => [part(item, "family"), size(`${i + 1}`)])
    .filter(([, n]) => n)
    .sort((a, b) => b[1] - a[1]);
  for (const value of counted) if (!(value > 0)) bar.push(["open", 1]);
  const piece = ([family, n]) =>
    Object.assign(document.createElement("i"), {
      className: `family-${family} share-${Math.round((steps * n) / counted.length)}`,
    });
  $("#bar").replaceChildren(...(open < counted.length ? bar.map(piece) : []));
}

// Menus of groups, in place of the fields that do without scripts.
function options() {
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
  if (!target || (value && value !== "unclear" && !groups()[value - 1])) return;
  label(target.id).value = value;
  $("[name=accepted]", target)?.remove();
  $(".suggestion", target)?.remove();
  if (suggested) target.append(hidden("accepted", target.id));
  const all = rows();
  const at = all.indexOf(target);
  const next = value && [...all.slice(at + 1), ...all.slice(0, at)].find((each) => !label(each.id).value);
  current = (next || target).id;
  (next || target).focus({ preventScroll: true });
  (next || target).scrollIntoView({ block: "nearest" });
  refresh();
  touch();
}

function hidden(name, value) {
  const input = Object.assign(document.createElement("input"), { type: "hidden", name, value });
  input.setAttribute("form", "annotation");
  return input;
}

// The number of the group of that name, which is added to the list where it is new.
function numberOf(name) {
  const plain = (text) => plainName(text, rules().names);
  const items = groups();
  const at = items.findIndex((item) => plain(part(item, "name")) === plain(name));
  if (at >= 0) return `${at + 1}`;
  const item = items[0].cloneNode(true);
  const number = items.length + 1;
  for (const old of $$(".group-options, [type=hidden]", item)) old.remove();
  item.className = "";
  $("kbd", item).textContent = number <= rules().n_keys ? number : "";
  $("input", item).setAttribute("value", name);
  item.append(hidden("group_family", ""), hidden("group_abstraction", ""));
  $("#groups").append(item);
  options();
  return `${number}`;
}

function addGroup() {
  const name = $("#new-group").value.trim();
  $("#new-group").value = "";
  if (name) assign(numberOf(name));
}

function accept() {
  const name = row() && $(".suggestion span", row());
  if (name) assign(numberOf(name.textContent), true);
}

function confidence(step) {
  const all = $$("[name=confidence]");
  const at = all.findIndex((each) => each.checked);
  const last = all.length - 1;
  all[at < 0 ? (step > 0 ? 0 : last) : Math.min(last, Math.max(0, at + step))].checked = true;
  touch();
}

function role(letter) {
  awaitsRole = false;
  const box = $$("[name=roles]").find((each) => each.nextSibling.textContent === letter);
  if (!box) return;
  box.checked = !box.checked;
  touch();
}

async function cite() {
  const target = row();
  await press($(".cite-example", target ?? document)?.value ?? `cite:example:${target.id}`);
  $("#evidence li:last-child [name=evidence_note]")?.focus();
}

const keys = {
  0: () => assign(""),
  "-": () => assign("unclear"),
  g: () => $("#new-group").focus(),
  y: accept,
  Y: () => $("[value=accept]", form()) && press("accept"),
  r: () => {
    awaitsRole = true;
  },
  "[": () => confidence(-1),
  "]": () => confidence(1),
  c: cite,
  m: () => $("[name=notes]").focus(),
  u: () => press("undo"),
  U: () => press("redo"),
  s: () => press("skip"),
};

// Before the keys of all pages, for some are taken here: after r, any letter is.
addEventListener(
  "keydown",
  (event) => {
    if (!form() || $("dialog[open]")) return;
    const { key, target } = event;
    const take = (action, ...given) => {
      event.preventDefault();
      event.stopImmediatePropagation();
      action(...given);
    };
    if (key === "Enter" && event.ctrlKey) return take(press, "submit");
    if (key === "Enter" && target.type === "text" && target.form === form())
      return take(target.id === "new-group" ? addGroup : () => target.blur());
    const typing = target.closest("input:not([type=checkbox], [type=radio]), textarea, select");
    if (
      typing ||
      event.metaKey ||
      event.ctrlKey ||
      event.altKey ||
      key === "Shift" ||
      stored((place) => place.getItem("keys")) === "off"
    )
      return;
    if (awaitsRole) take(role, key);
    else if (key >= 1 && key <= rules().n_keys) take(assign, key);
    else if (keys[key]) take(keys[key]);
  },
  true,
);

document.addEventListener("focusin", (event) => {
  current = event.target.closest("article.feature-entry")?.id ?? current;
});

document.addEventListener("input", ({ target }) => {
  if (!form() || target.form !== form() || target.id === "new-group") return;
  if (target.name.startsWith("label:")) $("[name=accepted]", target.closest("article"))?.remove();
  if (target.name === "group_name") options();
  refresh();
  if (!$(".warning")) touch(); // a merge is saved when one says so
});

document.addEventListener("submit", (event) => {
  if (event.target !== form()) return;
  event.preventDefault();
  const action = event.submitter?.value ?? "save";
  if (action === "add_group") addGroup();
  else if ($(".warning")) post(snapshot(), action, true).then(swap);
  else press(action);
});

// A row that is opened comes as it is stored; what has been chosen since stays.
let chosen = [];
document.addEventListener("htmx:before:swap", () => {
  chosen = form() ? rows().map(({ id }) => [id, label(id).value]) : [];
});
document.addEventListener("htmx:after:swap", () => {
  if (!form()) return;
  options();
  for (const [id, value] of chosen) if (label(id)) label(id).value = value;
  refresh();
});

addEventListener("online", () => {
  if (form() && changed) flush();
});
addEventListener("pagehide", () => {
  if (form() && changed && !sending) post(snapshot(), "save").catch(() => null);
});

function localise() {
  const at = $("#saved")?.dataset.at;
  if (at) say(`${form().elements.status.value}, saved ${clock(at)}`);
}

async function start() {
  if (!form()) return;
  localise();
  options();
  const draft = kept();
  if (!draft) return;
  const reply = await post(draft, "save", true).catch(() => null);
  if (!reply) return say("not saved; kept in this browser", true);
  forget(draft);
  await swap(reply);
}

start();
