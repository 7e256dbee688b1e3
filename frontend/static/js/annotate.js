// Annotating by keyboard, and saving by itself. The form works without any of this: each action is a button of it.
const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
const form = () => $("#annotation");
const address = () => form().getAttribute("action"); // form.action would be the buttons of that name
const root = document.documentElement;
const DELAY = 400, PATIENCE = 10000, RETRY = 5;
let changed = false, pending = null, sending = null, timer = 0, current = null, awaitsRole = false, sequence = 0;

// What the form holds, as it is sent.
const entries = () => [...new FormData(form())].filter(([name]) => name !== "new_group");
const label = (feature) => form().elements[`label:${feature}`];
const rows = () => $$("article.ft").filter((row) => label(row.id));
const groups = () => $$("#groups li");
const nameOf = (item) => $("[name=group_name]", item).value;
const familyOf = (item) => $("[name=group_family]", item).value;

function say(text, bad = false) {
  const place = $("#saved");
  place.textContent = text;
  place.classList.toggle("bad", bad);
}

function clock(iso) {
  return new Date(iso).toLocaleTimeString("en-GB");
}

// Drafts: kept until the server has them, under whose they are and what they grew from.
const prefix = () => `draft ${form().dataset.annotator} ${address()} `;
const draftKey = (draft) => prefix() + draft.version;

function keep(draft) {
  try {
    localStorage.setItem(draftKey(draft), JSON.stringify(draft));
  } catch {
    // No storage, then: the page itself still holds it.
  }
}

function forget(draft) {
  try {
    localStorage.removeItem(draftKey(draft));
  } catch {
    // It was never kept.
  }
}

function keptDraft() {
  try {
    const key = Object.keys(localStorage).find((name) => name.startsWith(prefix()));
    return key ? JSON.parse(localStorage.getItem(key)) : null;
  } catch {
    return null;
  }
}

function snapshot() {
  return { version: Number(form().elements.base_version.value), fields: entries() };
}

async function post(draft, action, asPage = false) {
  const body = new URLSearchParams(draft.fields);
  body.set("base_version", draft.version);
  body.set("action", action);
  const headers = asPage ? {} : { Accept: "application/json", "HX-Request": "true" };
  const signal = AbortSignal.timeout(PATIENCE);
  return fetch(address(), { method: "POST", body, headers, signal, keepalive: body.toString().length < 60000 });
}

function touch() {
  changed = true;
  keep(snapshot());
  say("saving");
  clearTimeout(timer);
  timer = setTimeout(flush, DELAY);
}

// One request at a time; one that got no answer goes again, word for word, before anything newer.
function flush() {
  clearTimeout(timer);
  sending ??= send().finally(() => { sending = null; });
  return sending;
}

async function send() {
  while (pending || changed) {
    if (!pending) {
      pending = snapshot();
      changed = false;
    }
    const mine = ++sequence;
    let reply;
    try {
      reply = await post(pending, "save");
    } catch {
      return retry(RETRY);
    }
    if (mine !== sequence) return false;
    if (reply.status >= 500) return retry(RETRY);
    if (!(await taken(reply))) return false;
  }
  return true;
}

function retry(seconds) {
  say(`not saved; kept in this browser, trying again in ${seconds} s`, true);
  clearTimeout(timer);
  timer = setTimeout(seconds > 1 ? () => retry(seconds - 1) : flush, 1000);
  return false;
}

async function taken(reply) {
  const draft = pending;
  if (reply.status === 401) {
    location.assign(reply.headers.get("HX-Redirect") || "/login");
    return false;
  }
  pending = null;
  if (reply.status === 409) {
    forget(draft);
    await swap(await post(changed ? { ...snapshot(), version: draft.version } : draft, "save", true));
    $(".warn")?.focus();
    return false;
  }
  const state = await reply.json().catch(() => ({}));
  if (!reply.ok) {
    say(state.error || "Not saved: the server refused it.", true);
    return false;
  }
  forget(draft);
  form().elements.base_version.value = state.version;
  show(state);
  if (changed) keep(snapshot());
  return true;
}

function show(state) {
  form().elements.status.value = state.status;
  form().dataset.next = state.next;
  say(`saved ${clock(state.saved_at)}`);
  $("#counts").textContent = state.counts;
  $("#changes").textContent = state.changes.join(" ");
  $("#novel").textContent = state.novel.length ? `new from the first layer up: ${state.novel.join(", ")}` : "";
  $("[value=undo]", form()).disabled = !state.can_undo;
  $("[value=redo]", form()).disabled = !state.can_redo;
}

// The page as the server draws it now, in place of this one.
async function swap(reply) {
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html").getElementById("main");
  if (!fresh) return location.reload();
  const at = document.activeElement.closest?.("article.ft")?.id ?? current;
  const top = scrollY;
  $("#main").replaceWith(document.adoptNode(fresh));
  globalThis.htmx?.process(fresh);
  changed = false;
  scrollTo(0, top);
  if (at) document.getElementById(at)?.focus({ preventScroll: true });
  localise();
}

async function press(action) {
  if (!(await flush()) && (pending || changed)) return;
  try {
    if (["submit", "unsure", "skip"].includes(action)) {
      const reply = await post(snapshot(), action);
      if (reply.ok) return location.assign((await reply.json()).next);
      pending = snapshot();
      return taken(reply);
    }
    const reply = await post(snapshot(), action, true);
    await swap(reply);
    if (reply.ok && !$(".warn")) say(`${action.split(":")[0].replace("_", " ")}: done`);
  } catch {
    say("not saved: the server does not answer; labels are kept", true);
  }
}

// The type that the groups give: the rule of the guide, so that it need not wait for the server.
function typeOf(values) {
  const n = values.length;
  const sizes = {};
  for (const value of values) if (value && value !== "unclear") sizes[value] = (sizes[value] || 0) + 1;
  const order = Object.values(sizes).sort((a, b) => b - a);
  const unclear = values.filter((value) => value === "unclear").length;
  if (values.every((value) => !value)) return "";
  if (2 * unclear >= n) return "unclear";
  if (order[0] === n) return "monosemantic";
  if (order[0] >= n - Math.floor(n / 5)) return "minor_exceptions";
  if (order.length === 2 && order[0] + order[1] === n) return "bisemantic";
  return "polysemantic";
}

// Swatches, counts and the type, from the form as it is.
function refresh() {
  const values = {};
  for (const control of form().elements) if (control.name.startsWith("label:")) values[control.name.slice(6)] = control.value;
  const items = groups();
  for (const row of rows()) {
    const value = values[row.id], mark = $(".sw", row), item = items[value - 1];
    mark.className = `sw f${item ? familyOf(item) : value || "0"}`;
    mark.textContent = item ? value : value ? "?" : "";
  }
  items.forEach((item, i) => {
    const n = Object.values(values).filter((value) => value === String(i + 1)).length;
    $("b", item).textContent = n;
    $(".dot", item).className = `dot f${familyOf(item)}`;
    if (n) item.classList.remove("off");
  });
  const counted = form().dataset.counted.split(" ").filter(Boolean).map((feature) => values[feature] ?? "");
  const open = counted.filter((value) => !value).length;
  const given = form().elements.override.value, type = given || typeOf(counted);
  const names = JSON.parse(form().dataset.names);
  for (const place of [$("#type"), $(".msum")]) $("use", place).setAttribute("href", `#ty-${type || "unclear"}`);
  $("#type b").textContent = names[type] || "no type yet";
  $(".msum span").firstChild.textContent = names[type] || "no type yet";
  $("#type i").textContent = open && type && !given ? "provisional" : "";
  $("#grouped").textContent = $(".msum i").textContent = `${counted.length - open} of ${counted.length} grouped`;
}

function options() {
  const items = groups();
  for (const row of rows()) {
    const select = label(row.id), value = select.value;
    const made = items.map((item, i) => new Option(nameOf(item), i + 1));
    select.replaceChildren(new Option("no group", ""), ...made, new Option("unclear", "unclear"));
    select.value = value;
  }
}

function row() {
  const all = rows();
  return all.find((each) => each.contains(document.activeElement)) ?? all.find((each) => each.id === current)
    ?? all.find((each) => !label(each.id).value);
}

function go(target) {
  current = target.id;
  target.focus({ preventScroll: true });
  target.scrollIntoView({ block: "nearest" });
}

function assign(value, suggested = false) {
  const target = row();
  if (!target || ![...label(target.id).options].some((option) => option.value === value)) return;
  label(target.id).value = value;
  for (const old of $$("[name=accepted]", target)) old.remove();
  if (suggested) target.append(hidden("accepted", target.id));
  $(".sgn", target)?.remove();
  const all = rows(), at = all.indexOf(target);
  const next = [...all.slice(at + 1), ...all.slice(0, at)].find((each) => !label(each.id).value);
  go(value && next ? next : target);
  refresh();
  touch();
}

function hidden(name, value) {
  const input = Object.assign(document.createElement("input"), { type: "hidden", name, value });
  input.setAttribute("form", "annotation");
  return input;
}

// The number of a group by its name; a new one is added to the list.
function numberOf(name) {
  const plain = (text) => text.toLowerCase().replaceAll("-", " ").split(/\s+/).filter(Boolean).join(" ");
  const at = groups().findIndex((item) => plain(nameOf(item)) === plain(name));
  if (at >= 0) return String(at + 1);
  const item = groups()[0].cloneNode(true), number = groups().length + 1;
  $(".gx", item)?.remove();
  for (const input of $$("[type=hidden]", item)) input.remove();
  item.className = "";
  $("kbd", item).textContent = number < 10 ? number : "";
  Object.assign($("[name=group_name]", item), { value: name, readOnly: true });
  for (const [field, value] of [["group_offered", ""], ["group_family", ""], ["group_abstraction", ""]]) item.append(hidden(field, value));
  $("#groups").append(item);
  options();
  return String(number);
}

function accept() {
  const field = row() && $("[name=suggestion]", row());
  if (!field) return;
  const name = JSON.parse(field.value)[1];
  field.remove();
  assign(numberOf(name), true);
}

function addGroup() {
  const name = $("#new-group").value.trim();
  if (!name) return;
  $("#new-group").value = "";
  assign(numberOf(name));
}

function confidence(step) {
  const all = $$("[name=confidence]"), at = all.findIndex((each) => each.checked);
  const next = all[at < 0 ? (step > 0 ? 0 : 4) : Math.min(4, Math.max(0, at + step))];
  next.checked = true;
  touch();
}

function role(letter) {
  awaitsRole = false;
  const box = $(`[data-letter="${letter}"]`);
  if (!box) return;
  box.checked = !box.checked;
  touch();
}

async function citeRow() {
  const target = row();
  const button = target && $(".ci", target);
  if (button) await press(button.value);
  else if (target) await press(`cite:example:${target.id}`);
  $("#evidence li:last-child [name=evidence_note]")?.focus();
}

const keys = {
  g: () => $("#new-group").focus(),
  y: accept,
  Y: () => $("[value=accept]", form()) && press("accept"),
  r: () => { awaitsRole = true; },
  "[": () => confidence(-1),
  "]": () => confidence(1),
  c: citeRow,
  m: () => $("[name=notes]").focus(),
  u: () => press("undo"),
  U: () => press("redo"),
  s: () => press("skip"),
  0: () => assign(""),
};

// Before the keys of all pages, for some are taken here: after r, any letter is.
addEventListener("keydown", (event) => {
  if (!form() || $("dialog[open]")) return;
  if (event.key === "Enter" && event.ctrlKey) {
    event.preventDefault();
    return press("submit");
  }
  const field = event.target.closest("input, textarea, select");
  if (event.key === "Enter" && field?.type === "text" && field.form === form()) {
    event.preventDefault();
    return field.id === "new-group" ? addGroup() : field.blur();
  }
  const typing = event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select");
  if (typing || event.metaKey || event.ctrlKey || event.altKey || root.dataset.keys === "off" || event.key === "Shift") return;
  const action = awaitsRole ? () => role(event.key) : /^[1-9]$/.test(event.key) ? () => assign(event.key) : keys[event.key];
  if (!action) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  action();
}, true);

document.addEventListener("focusin", (event) => { current = event.target.closest("article.ft")?.id ?? current; });

for (const kind of ["input", "change"]) {
  document.addEventListener(kind, (event) => {
    const control = event.target;
    if (control.form !== form() || !form() || control.id === "new-group" || control.name.startsWith("take:")) return;
    if (control.name.startsWith("label:")) for (const old of $$("[name=accepted]", control.closest(".gp") ?? form())) if (old.value === control.name.slice(6)) old.remove();
    if (control.name === "group_name") options();
    if (!$(".warn .clash, .warn .btn")) touch();
    refresh();
  });
}

document.addEventListener("submit", (event) => {
  if (event.target !== form()) return;
  event.preventDefault();
  const action = event.submitter?.value ?? "save";
  if (action === "add_group") addGroup();
  else if ($(".warn")) post(snapshot(), action, true).then(swap);
  else press(action);
});

// A row that htmx opened comes as it is stored; what has been chosen since stays.
let chosen = {};
document.addEventListener("htmx:before:swap", () => { chosen = form() ? Object.fromEntries(rows().map((each) => [each.id, label(each.id).value])) : {}; });
document.addEventListener("htmx:after:swap", () => {
  if (!form()) return;
  options();
  for (const [feature, value] of Object.entries(chosen)) if (label(feature)) label(feature).value = value;
  refresh();
});

addEventListener("online", () => { if (form() && (pending || changed)) flush(); });
addEventListener("pagehide", () => { if (form() && changed && !sending) post(snapshot(), "save").catch(() => {}); });

function localise() {
  const at = $("#saved")?.dataset.at;
  if (at) say(`${form().elements.status.value}, saved ${clock(at)}`);
}

async function start() {
  if (!form()) return;
  localise();
  const draft = keptDraft();
  if (!draft) return;
  say("saving what this browser kept");
  try {
    const reply = await post(draft, "save", true);
    if (reply.ok || reply.status === 409) forget(draft);
    await swap(reply);
  } catch {
    say("not saved; kept in this browser", true);
  }
}

start();
