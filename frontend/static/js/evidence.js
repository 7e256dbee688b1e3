// The evidence that the form cites: its places in the list, and what each is said to show.
import { $, $$, hidden, rules } from "./elements.js";
import { fillIn } from "./rules.js";

export function evidence(item) {
  const [kind, target] = ["kind", "target"].map((name) => $(`[name=evidence_${name}]`, item).value);
  return { kind, target, note: $("[name=evidence_note]", item) };
}

const link = (kind, target) =>
  $$("#evidence li").find((item) => evidence(item).kind === kind && evidence(item).target === target);

export function putEvidence(kind, target, note) {
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
  if (index && (kind === "example" || kind === "feature"))
    return fillIn(position ? said.cited_example : said.cited_feature, { index, sequence, position });
  if (kind === "score" && position) return fillIn(said.cited_score, { name: feature, value: sequence, run: position });
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
