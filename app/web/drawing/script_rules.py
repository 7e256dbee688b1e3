"""Rules and words of annotation as data for scripts, so that a page follows them while nobody answers."""

import json
from dataclasses import asdict
from functools import cache

from app.domain.annotations.head_types import HEAD_TYPE_NAMES, TYPE_RULES
from app.domain.annotations.names import name_rule
from app.domain.annotations.records import HeadAnnotation
from app.services.annotations.edits import FINISHING
from app.services.annotations.panel import N_KEYS
from app.services.annotations.record_words import EVIDENCE_WORDS
from app.web.drawing.charts import FILL_STEPS

# Sentences that the form begins with and its script renews.
WORDS = {
    "no_type": "no type yet",
    "so_far_one": "so far one group, {open} open",
    "so_far": "so far {n} groups, {open} open",
    "grouped": "{n} of {total} grouped",
    "novel": "new from the first layer up: {names}",
    "into": "into “{name}”, key {n}",
    "known": "“{name}”, a name of the atlas, as key {n}",
    "new": "a new group “{name}”, as key {n}",
    "is": "“{name}” is key {n}",
    "no_group": "no group has the key {n}",
    "which_role": "role: which letter?",
    "no_role": "no role has the key {key}",
    "ask_open": "{open} of {total} features are open, so the tally leaves the head out. Once more submits it.",
    "choose": "not saved: both texts wait for your choice above",
    "waits": "not stored yet, open to settle: {names}",
    "claim": "what it shows",
    **EVIDENCE_WORDS,
}


def type_in_words(content: HeadAnnotation) -> str:
    """The head's type; how far its groups have come while features are open; that there is none yet."""
    computed = content.computed
    if content.override is None and computed.n_unlabelled and computed.head_type:
        name = "so_far_one" if len(computed.groups) == 1 else "so_far"
        return WORDS[name].format(n=len(computed.groups), open=computed.n_unlabelled)
    return HEAD_TYPE_NAMES[content.head_type] if content.head_type else WORDS["no_type"]


@cache
def annotation_rules() -> str:
    """JSON of what the form's script follows: the rules of types and names, and what else both sides must agree on."""
    rules = {
        "types": [asdict(rule) for rule in TYPE_RULES],
        "names": asdict(name_rule()),
        "finishing": list(FINISHING),
        "n_keys": N_KEYS,
        "fill_steps": FILL_STEPS,
        "words": WORDS,
    }
    return json.dumps(rules, separators=(",", ":"))
