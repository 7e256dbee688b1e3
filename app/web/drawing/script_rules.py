"""Rules of annotation as data for scripts, so that a page follows them while nobody answers."""

import json
from dataclasses import asdict
from functools import cache

from app.domain.annotations.head_types import TYPE_RULES
from app.domain.annotations.names import name_rule


@cache
def annotation_rules() -> str:
    """JSON of the rules that `frontend/static/js/rules.js` reads: of head types, and of when names are the same."""
    rules = {"types": [asdict(rule) for rule in TYPE_RULES], "names": asdict(name_rule())}
    return json.dumps(rules, separators=(",", ":"))
