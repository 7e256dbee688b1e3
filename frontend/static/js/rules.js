// Reads the server's rules and words of annotation from the data that comes with the form: Python alone declares them.

// The type of the first rule that holds. A value is "unclear", empty where a feature has no label, else a group's own.
export function headType(values, rules) {
  if (values.every((value) => !value)) return "";
  const sizes = new Map();
  for (const value of values) if (value) sizes.set(value, (sizes.get(value) ?? 0) + 1);
  const unclear = sizes.get("unclear") ?? 0;
  sizes.delete("unclear");
  const [first = 0, second = 0] = [...sizes.values()].sort((a, b) => b - a);
  const counts = { unclear, largest: first, two_largest: first + second };
  const exceptions = (oneIn) => (oneIn ? Math.floor(values.length / oneIn) : 0);
  const holds = (rule) => counts[rule.counted] >= values.length - exceptions(rule.exceptions_one_in);
  return rules.find(holds).head_type;
}

// The form under which two names are the same.
export function plainName(name, { separators, folds }) {
  // It takes ß as ss, ς as σ.
  const small = (character) => character.toLowerCase().toUpperCase().toLowerCase();
  const fold = (character) => (separators.includes(character) ? " " : (folds[character] ?? small(character)));
  return [...name].map(fold).join("").split(" ").filter(Boolean).join(" ");
}

// A sentence of the server with its places filled.
export function fillIn(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
