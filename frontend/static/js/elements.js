// The parts of the annotation form as they stand on the page, its rules and words, and what this browser remembers.
import { plainName } from "./rules.js";

export const $ = (selector, from = document) => from.querySelector(selector);
export const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
export const form = () => $("#annotation");
// `form.action` would be the buttons of that name.
export const address = () => form().getAttribute("action");
// What names the record: the address without what the page shows beside it. A second look is a record of its own.
export const recordPath = () => address().match(/^[^?]*(\?look=\w+)?/)[0];
export const label = (feature) => form().elements[`label:${feature}`];
export const labels = () => [...form().elements].filter((control) => control.name.startsWith("label:"));
// What has a label: a feature, or an example of a head without features.
export const ROW = "article.feature-entry, .grouped-example";
export const rows = () => $$(ROW).filter((row) => label(row.id));
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

export const typing = (element) => element.closest("input:not([type=checkbox], [type=radio]), textarea, select");
