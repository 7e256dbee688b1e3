"""Every difference between two recordings, each with where it is; one that repeats is listed once."""

import difflib
import json
import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# HTML is compared as the text of its page: its class names may change.
_NOT_COMPARED = ("html",)
_ABSENT = "(absent)"
_MAX_SHOWN = 300  # characters of a value
_MAX_PLACES = 3
_MANY = 4  # differences of one pattern that are told as one


@dataclass(frozen=True)
class Difference:
    """One value that is not what it was. `place` is where in the file: a path of JSON, or a line."""

    file: str
    place: str
    old: str
    new: str

    @property
    def is_white_space(self) -> bool:
        """Whether spaces came or went, and nothing else."""
        return self.file.endswith(".txt") and "".join(self.old.split()) == "".join(self.new.split())

    @property
    def change(self) -> tuple[str, str]:
        """What became what: the words that differ, or the field that came or went with its value."""
        if _ABSENT in (self.old, self.new):
            field = f"{self.place.rpartition('.')[2]}: " if self.file.endswith(".json") else ""
            old, new = (side if side == _ABSENT else field + side for side in (self.old, self.new))
            return old, new
        old, new = self.old.split(" "), self.new.split(" ")
        n_first = _n_common(old, new)
        n_last = _n_common(old[n_first:][::-1], new[n_first:][::-1])
        return " ".join(old[n_first : len(old) - n_last]), " ".join(new[n_first : len(new) - n_last])

    @property
    def pattern(self) -> tuple[str, str]:
        """Where it is, without numbers and names of pages, and whether something came, went or changed."""
        kind = "added" if self.old == _ABSENT else "removed" if self.new == _ABSENT else "changed"
        place = re.sub(r"\d+", "#", self.place)
        folder = self.file.rpartition("/")[0] or self.file
        return f"{folder}: {place}", kind


def _n_common(old: list[str], new: list[str]) -> int:
    """How many of the first words are the same."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(old), len(new)))


def compare(before: Path, after: Path, everything: bool = False) -> int:
    """Print the differences, and return 1 where there are any."""
    differences: list[Difference] = []
    files = sorted(_files(before) | _files(after))
    for file in files:
        differences += _differences_of(before / file, after / file, file)
    say = sys.stdout.write
    groups = _groups(differences)
    for number, (title, members) in enumerate(groups, 1):
        say(f"{number}. {len(members)} x {title}\n")
        places = members if everything else members[:_MAX_PLACES]
        for each in places:
            say(f"     {each.file} {each.place}\n")
        if len(members) > len(places):
            say(f"     and {len(members) - len(places)} more places\n")
    say(f"{len(differences)} differences in {len(groups)} groups, {len(files)} files compared\n")
    return 1 if differences else 0


def _files(folder: Path) -> set[str]:
    if not folder.is_dir():
        sys.exit(f"{folder} is not a folder")
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if not set(path.parts) & set(_NOT_COMPARED)}


def _differences_of(before: Path, after: Path, file: str) -> list[Difference]:
    if not before.exists() or not after.exists():
        there, gone = ("the file", _ABSENT)
        return [Difference(file, "", *((there, gone) if before.exists() else (gone, there)))]
    old, new = before.read_text(), after.read_text()
    if old == new:
        return []
    if file.endswith(".json"):
        return _json_differences(file, "", json.loads(old), json.loads(new)) or [
            Difference(file, "", "the order of fields", "another order")
        ]
    return _line_differences(file, old.splitlines(), new.splitlines())


def _json_differences(file: str, place: str, old: Any, new: Any) -> list[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        names = list(dict.fromkeys([*old, *new]))
        pairs = [(f"{place}.{name}", old.get(name, _ABSENT), new.get(name, _ABSENT)) for name in names]
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new) and all(isinstance(item, str) for item in (*old, *new)):
            return _line_differences(file, old, new, place)
        longest = range(max(len(old), len(new)))
        pairs = [
            (f"{place}[{i}]", *(part[i] if i < len(part) else _ABSENT for part in (old, new)))
            for i in longest
        ]
    else:
        same = type(old) is type(new) and old == new
        return [] if same else [Difference(file, place, _shown(old), _shown(new))]
    return [found for pair in pairs for found in _json_differences(file, *pair)]


def _line_differences(file: str, old: list[str], new: list[str], place: str = "") -> list[Difference]:
    found: list[Difference] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if kind == "equal":
            continue
        n = max(old_end - old_start, new_end - new_start)
        for i in range(n):
            before = old[old_start + i] if old_start + i < old_end else _ABSENT
            after = new[new_start + i] if new_start + i < new_end else _ABSENT
            found.append(Difference(file, f"{place} line {old_start + i + 1}", before, after))
    return found


def _shown(value: Any) -> str:
    return value if value is _ABSENT else json.dumps(value, ensure_ascii=False)


def _groups(differences: list[Difference]) -> list[tuple[str, list[Difference]]]:
    """Equal changes together, wherever they are; then changes that are alike in where they are; largest first."""
    by_values: dict[tuple[str, str], list[Difference]] = defaultdict(list)
    spaces = [each for each in differences if each.is_white_space]
    for each in differences:
        if not each.is_white_space:
            by_values[each.change].append(each)
    by_pattern: dict[tuple[str, str], list[Difference]] = defaultdict(list)
    groups: list[tuple[str, list[Difference]]] = []
    if spaces:
        first = spaces[0]
        groups.append(
            (f"white space alone, such as\n     {_cut(first.old)}\n     -> {_cut(first.new)}", spaces)
        )
    for (old, new), members in by_values.items():
        if len(members) >= _MANY:
            groups.append((f"{_cut(old)}\n     -> {_cut(new)}", members))
        else:
            for each in members:
                by_pattern[each.pattern].append(each)
    for (where, kind), members in by_pattern.items():
        if len(members) >= _MANY:
            first = members[0]
            title = f"{kind} in {where}, such as\n     {_cut(first.old)}\n     -> {_cut(first.new)}"
            groups.append((title, members))
        else:
            groups += [(f"{_cut(each.old)}\n     -> {_cut(each.new)}", [each]) for each in members]
    return sorted(groups, key=lambda group: -len(group[1]))


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}... ({len(text)} characters)"
