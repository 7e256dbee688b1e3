// Annotating by keyboard: which key is which command, and what else is done to the form. It works without any of this:
// each action is a button of it.
import { commandOf, enterSubmits, keyOf, offer } from "./bindings.js";
import { addGroup, assign, choose, commands, letterIsAwaited, press, takesLetter } from "./commands.js";
import { backToRow, cursor } from "./cursor.js";
import { drawTaps } from "./drawing.js";
import { $, $$, form, label, ROW, rules, stored, typing } from "./elements.js";
import { isOfNumbers, menus, recall } from "./groups.js";
import { ask, begin, leaving, merging, redraw, renew, say, stepping, touch, words } from "./saving.js";
import { abandoned, isBehind, sendOthers } from "./server.js";
import { accept } from "./state.js";

let ready = false;
// Keys that wait until the form is as the record is, or for a step back.
let held = [];

function take(event, action, ...given) {
  event.preventDefault();
  event.stopImmediatePropagation();
  // A key that is held down is pressed once.
  if (!event.repeat) action?.(...given);
}

function inField(event) {
  const { key, target } = event;
  if (target.id === "new-group" && (key === "ArrowDown" || key === "ArrowUp")) {
    take(event, choose, key === "ArrowDown" ? 1 : -1);
  } else if (key === "Enter" && target.type === "text" && target.form === form())
    take(event, target.id === "new-group" ? () => addGroup(event.shiftKey) : () => backToRow(target));
}

// Before the keys of all pages, for some are taken here: after r and t, any letter is.
function onKey(event) {
  if (!form() || $("dialog[open]")) return;
  const { key, target, metaKey, ctrlKey, altKey } = event;
  const letterOf = !["Shift", "CapsLock"].includes(key) && takesLetter();
  const letter = letterOf && key.length === 1 && !(metaKey || ctrlKey || altKey);
  const mayAct = !metaKey && !altKey && (!ctrlKey || key === "Enter");
  if (mayAct && !typing(target) && (!ready || held.length || stepping())) {
    if (!ctrlKey && !event.repeat && (key.length === 1 || key === "Enter")) held.push(key);
    return take(event);
  }
  if (mayAct && leaving()) return take(event);
  if (key === "Enter" && ctrlKey) return take(event, press, "submit");
  if (letterOf && key === "Enter") return take(event);
  if (typing(target)) return inField(event);
  if (metaKey || ctrlKey || altKey || key === "Shift" || stored((place) => place.getItem("keys")) === "off") return;
  if (key === "Enter" && enterSubmits() && !target.closest("a, button, summary, input"))
    return take(event, press, "submit");
  const command = commandOf(key);
  const isGroup = command >= 1 && command <= rules().n_keys;
  if (!letter && !isGroup && !commands[command]) {
    // A key whose command has another one means nothing.
    if (!command) take(event);
    return;
  }
  if (merging()) return take(event, say, words("choose"), true);
  if (letter) take(event, letterOf, key);
  else if (isGroup) take(event, assign, command);
  else take(event, commands[command]);
}
addEventListener("keydown", onKey, true);

document.addEventListener("focusin", ({ target }) => {
  const at = target.closest(ROW)?.id;
  if (!at || !form()) return;
  [cursor.row, cursor.looked] = [at, null];
  drawTaps();
});
addEventListener("pointerdown", () => takesLetter());

document.addEventListener("click", ({ target }) => {
  const command = target.closest("#taps button")?.value;
  if (!command || leaving()) return;
  if (merging()) say(words("choose"), true);
  else if (command > 0) assign(command);
  else commands[command]();
});

document.addEventListener("input", ({ target }) => {
  if (!form() || target.form !== form()) return;
  if (target.id === "new-group") return choose();
  if (target.name.startsWith("take:")) return;
  if (target.name.startsWith("label:")) accept(target.closest(ROW).id, false);
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
  const old = gone.filter((node) => node.matches?.(ROW) && form() && label(node.id));
  if (!old.length) return;
  menus();
  for (const was of old) {
    label(was.id).value = $("[name^='label:']", was)?.value ?? "";
    accept(was.id, Boolean($("[name=accepted]", was)));
  }
  showKeys();
}).observe(document.body, { childList: true, subtree: true });

// Back shows a page from before: it is renewed from the store, and from what was not stored when it was left.
addEventListener("pageshow", ({ persisted }) => {
  if (!form() || !persisted) return;
  [ready, held] = [false, []];
  recall(true);
  redraw();
  renew();
});

// Another tab has changed the numbers; this one follows, and does not answer.
addEventListener("storage", ({ key }) => {
  if (!form() || !isOfNumbers(key)) return;
  recall(true);
  redraw(true);
});

// Keys that were pressed before this script was there, or before the form was as the record is, up to a step back.
function replay() {
  ready = true;
  const waited = held.splice(0);
  while (waited.length && !stepping()) {
    const key = waited.shift();
    const at = document.activeElement;
    if (typing(at) && key.length === 1) {
      at.setRangeText(key, at.selectionStart, at.selectionEnd, "end");
      at.dispatchEvent(new Event("input", { bubbles: true }));
    } else if (key !== "s" || letterIsAwaited())
      at.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  }
  held = waited;
}

// The keys that the page shows are those that are bound.
function showKeys() {
  for (const key of $$("#annotation kbd:not(#groups kbd, #roles kbd), .suggestion kbd")) {
    key.dataset.command ??= key.textContent;
    key.textContent = keyOf(key.dataset.command);
  }
  redraw();
}

async function start() {
  recall();
  showKeys();
  begin({ redrawn: showKeys, ready: replay });
  offer([...Array.from({ length: rules().n_keys }, (_, at) => `${at + 1}`), ...Object.keys(commands).sort()], showKeys);
  dispatchEvent(new CustomEvent("head-atlas:annotating", { detail: (early) => held.push(...early) }));
  const back = performance.getEntriesByType("navigation")[0]?.type === "back_forward";
  const behind = isBehind(Number(form().elements.base_version.value));
  if (back || behind || abandoned().some(({ here }) => here)) renew();
  else replay();
  const heads = await sendOthers();
  if (heads.length) ask(words("waits", { names: heads.join(", ") }));
}

if (form()) start();
