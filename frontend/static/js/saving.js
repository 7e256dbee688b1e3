// Saving the form by itself: what is said of it, the page as the queue sees it, and leaving for the next head.
import { currentRow, goOn, place } from "./cursor.js";
import { counted, draw } from "./drawing.js";
import { $, form, rows, rules, typing } from "./elements.js";
import { recall } from "./groups.js";
import { Queue } from "./queue.js";
import { fillIn } from "./rules.js";
import { keep, learn, post, send } from "./server.js";
import { read, write } from "./state.js";

const DELAY = 400;
const RETRY_S = 5;
let queue = null;
// `redrawn`: the page is another one; `ready`: the form is as the record is, or stays as it is.
let listeners = {};
// Runs from an edit until the save of it.
let timer = null;
let wake = () => {};
// Whether it was said that features are open.
let asked = false;
let left = false;
// What is said while nothing is under way.
let idle = "";
// The version from which a merge that waits for its choices began.
let conflictBase = null;
let restore = () => {};

const clock = (iso) => new Date(iso).toLocaleTimeString("en-GB");
export const words = (name, values = {}) => fillIn(rules().words[name], values);

export function say(text, bad = false) {
  $("#saved").textContent = text;
  $("#saved").classList.toggle("bad", bad);
}

export function ask(text) {
  $("#asks").textContent = text;
}

// Whether a submitted head waits for its answer: until then no key means anything.
const leaves = (request) => rules().finishing.includes(request.action) && !request.tries;
export const leaving = () => left || queue.requests.some(leaves);
const STEPS = ["undo", "redo"];
// Whether a step waits for its answer, and what is pressed is meant for what it gives.
export const stepping = () => !queue.request?.tries && queue.requests.some(({ action }) => STEPS.includes(action));
export const merging = () => page.merging;

function freeze() {
  const main = $("#main");
  const was = main.inert;
  main.inert = leaving();
  if (was && !main.inert) currentRow()?.focus({ preventScroll: true });
}

function store(gone = false) {
  keep(conflictBase ?? queue.request?.version ?? page.version, page.status, queue.outstanding(), gone);
}

// What is to be done after every edit.
export function touch() {
  asked = false;
  ask("");
  draw(queue.pending());
  store();
  if (page.merging) return say(words("choose"), true);
  say("saving");
  clearTimeout(timer);
  timer = setTimeout(flush, DELAY);
}

export function flush() {
  clearTimeout(timer);
  timer = null;
  queue.flush();
}
// Asks for a page of the server; until it is there, nothing is said to be saved, for keys may wait for it.
export function request(action) {
  say(action === "save" ? "saving" : `${action}: on its way`);
  queue.push(action, true);
}
export const redraw = (heard) => draw(queue?.pending(), heard);

// Submits the head, skips it or leaves it unsure; asks once where features are open.
export function settle(action) {
  const of = counted();
  const open = of.filter((value) => !value).length;
  const ofExamples = "typeChosen" in form().dataset;
  if (action === "submit" && (open || ofExamples) && !form().elements.override.value && !asked) {
    asked = true;
    return ask(words(ofExamples ? "ask_type" : "ask_open", { open, total: of.length }));
  }
  ask("");
  queue.push(action);
  freeze();
}

// Until the next try; what is edited meanwhile waits behind it.
async function pause() {
  freeze();
  listeners.ready();
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
  // Whether the last edit is so young that the next may be part of the same step.
  get edited() {
    return timer !== null;
  },
  fields() {
    const apart = ["new_group", "base_version", "status", "suggestion", "from_label"];
    return [...new FormData(form())].filter(([name]) => !apart.includes(name));
  },
  // The server has it; `all`: nothing has been edited or asked for since.
  accepts({ action }, reply, all) {
    form().elements.base_version.value = reply.version;
    learn(reply.version);
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
    listeners.redrawn();
    return true;
  },
  replaced({ action, version }, { code, ok }, before) {
    conflictBase = code === 409 ? version : null;
    localise();
    restore();
    if (STEPS.includes(action)) followLabels(before, action === "redo");
    const nothing = action !== "reveal" && page.version === version;
    if (ok && [...STEPS, "reveal"].includes(action)) idle = nothing ? `nothing to ${action}` : `${action}: done`;
    if (!ok) say($(".warning p").textContent, true);
    if (!ok && !typing(document.activeElement)) $(".warning").focus();
    draw(queue.pending());
    if (ok && queue.pending().length) say("saving");
  },
  rests() {
    draw(queue.pending());
    store();
    if (!queue.pending().length) say(idle);
    freeze();
    listeners.ready();
  },
};

// The next label goes to the first row whose label an undo took or changed; after a redo, to the next open one.
function followLabels(before, on) {
  const now = read();
  const row = rows().find(({ id }) => before.get(`label:${id}`) !== now.get(`label:${id}`));
  if (row) goOn(row, on);
}

function localise() {
  const at = $("#saved").dataset.at;
  if (at) say(`${page.status}, saved ${clock(at)}`);
  idle = $("#saved").textContent;
}

export function begin(told) {
  listeners = told;
  localise();
  queue = new Queue(page, send, pause);
}

// The page is renewed from the store, and from what was not stored when it was left.
export function renew() {
  left = false;
  wake();
  freeze();
  request("refresh");
}

addEventListener("online", () => wake());

addEventListener("pagehide", () => {
  if (!form()) return;
  store(true);
  if (left) return;
  const [only, ...more] = queue.outstanding();
  const { version, status } = page;
  if (only && !more.length && !queue.request && !page.merging) post({ ...only, version, status }).catch(() => null);
});
