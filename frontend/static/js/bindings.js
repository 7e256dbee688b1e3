// The keys of the form as they are wanted in this browser: which key stands for which command, and whether Enter submits.
import { $, $$, stored } from "./elements.js";

const bound = stored((place) => JSON.parse(place.getItem("bound"))) ?? {};

export const keyOf = (command) => bound[command] ?? command;

// The command of a pressed key; none for one whose command has another key.
export const commandOf = (key) =>
  Object.keys(bound).find((command) => bound[command] === key) ?? (key in bound ? "" : key);

export const enterSubmits = () => stored((place) => place.getItem("enter")) === "on";

const make = (tag, values, ...children) => {
  const element = Object.assign(document.createElement(tag), values);
  element.append(...children);
  return element;
};

// In the sheet that ? opens: a field for the key of each command. A key stands for one command alone.
export function offer(commands, changed) {
  const says = make("p", { className: "note" });
  says.setAttribute("role", "status");
  // The line of the sheet that names the command; those of groups stand for all of them.
  const section = $$("#keys dl > div").find((each) => $("dt", each).textContent === "labels");
  const words = (command) => {
    const lines = $$("dd", section);
    const line = lines.find((each) => $$("kbd", each).some((key) => key.textContent === command)) ?? lines[0];
    return line.lastChild.textContent.trim();
  };
  const choose = (command, field) => {
    const rival = commands.find((each) => each !== command && keyOf(each) === field.value);
    const free = field.value.trim() && !rival;
    says.textContent = free ? "" : `${field.value} is ${rival ? `the key of: ${words(rival)}` : "not a key"}`;
    if (free) bound[command] = field.value;
    else field.value = keyOf(command);
    if (bound[command] === command) delete bound[command];
    stored((place) => place.setItem("bound", JSON.stringify(bound)));
    changed();
  };
  const fields = commands.map((command) => {
    const field = make("input", { maxLength: 1, size: 1, value: keyOf(command), name: `key ${command}` });
    field.addEventListener("focus", () => field.select());
    field.addEventListener("change", () => choose(command, field));
    return make("label", {}, field, " ", make("kbd", { textContent: command }), ` ${words(command)}`);
  });
  const enter = make("input", { type: "checkbox", id: "enter-submits", checked: enterSubmits() });
  enter.addEventListener("change", () => stored((place) => place.setItem("enter", enter.checked ? "on" : "off")));
  $("#keys").append(
    make(
      "p",
      { className: "note" },
      make("label", {}, enter, " Enter alone submits a head, outside fields and buttons"),
    ),
    make(
      "details",
      { className: "note bindings" },
      make("summary", { textContent: "Other keys for labels" }),
      ...fields,
      says,
    ),
  );
}
