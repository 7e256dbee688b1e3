"""Rules and words of annotation as data for scripts, so that a page follows them while nobody answers."""

import json
from dataclasses import asdict
from functools import cache

from app.domain.annotations.head_types import TYPE_RULES
from app.domain.annotations.names import name_rule
from app.services.annotations.edits import FINISHING
from app.services.annotations.panel import N_KEYS
from app.web.drawing.charts import FILL_STEPS

# Sentences that the form begins with and its script renews.
WORDS = {
    "no_type": "no type yet",
    "provisional": "provisional",
    "grouped": "{n} of {total} grouped",
    "novel": "new from the first layer up: {names}",
}


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
