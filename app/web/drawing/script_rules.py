"""Rules and words of annotation as data for scripts, so that a page can follow them without the server."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache

from app.domain.annotations.fields import field_specs
from app.domain.annotations.head_types import HEAD_TYPE_NAMES, TYPE_RULES, HeadType
from app.domain.annotations.names import name_rule
from app.domain.annotations.records import HeadAnnotation
from app.domain.annotations.type_words import TYPE_WORDS, type_in_words
from app.services.annotations.edits import FINISHING
from app.services.annotations.panel import N_KEYS
from app.services.annotations.record_words import EVIDENCE_WORDS
from app.web.drawing.charts import FILL_STEPS

# The letter that names a type after `t`.
TYPE_KEYS: Mapping[str, HeadType] = {
    "m": "monosemantic",
    "e": "minor_exceptions",
    "b": "bisemantic",
    "p": "polysemantic",
    "u": "unclear",
}
# Sentences that the form begins with and its script renews.
WORDS = {
    **TYPE_WORDS,
    "grouped": "{n} of {total} grouped",
    "novel": "new from the first layer up: {names}",
    "into": "into “{name}”, key {n}",
    "known": "“{name}”, a name of the atlas, as key {n}",
    "new": "a new group “{name}”, as key {n}",
    "is": "“{name}” is key {n}",
    "into_keyless": "into “{name}”, which has no key",
    "known_keyless": "“{name}”, a name of the atlas, without a key",
    "new_keyless": "a new group “{name}”, without a key",
    "is_keyless": "“{name}” has no key",
    "was": "“{name}” is key {n}, which was “{old}”",
    "no_group": "no group {n}",
    "which_role": "role: which letter?",
    "no_role": "no role {key}",
    "which_type": "type: "
    + ", ".join(f"{key} {HEAD_TYPE_NAMES[name]}" for key, name in TYPE_KEYS.items())
    + ", 0 none",
    "no_type_key": "no type {key}",
    "by_examples": "groups of its examples",
    "ask_type": "No type is chosen, so the tally leaves the head out. Press again to submit it.",
    "ask_open": "{open} of {total} features are open, so the tally leaves the head out. Press again to submit it.",
    "choose": "not saved: choose between the two texts above",
    "waits": "not stored yet; open to send: {names}",
    "claim": "what it shows",
    **EVIDENCE_WORDS,
}


def form_type_in_words(content: HeadAnnotation) -> str:
    """The head type of a form's content, in the same words as the page's script."""
    n_open = content.computed.n_unlabelled if content.override is None else 0
    return type_in_words(content.head_type, len(content.computed.groups), n_open)


@cache
def annotation_rules() -> str:
    """The rules of types and names as JSON for the form's script, with other values that both sides share."""
    rules = {
        "types": [asdict(rule) for rule in TYPE_RULES],
        "names": asdict(name_rule()),
        "finishing": list(FINISHING),
        "fields": [name for name, spec in field_specs(HeadAnnotation).items() if spec.kind != "json"],
        "n_keys": N_KEYS,
        "type_keys": dict(TYPE_KEYS),
        "fill_steps": FILL_STEPS,
        "words": WORDS,
    }
    return json.dumps(rules, separators=(",", ":"))
