"""What two plans differ in, in words."""

import json
from typing import Any


def difference(name: str, before: Any, now: Any) -> str:
    """What another plan has in place of a field; of SAEs, which of them is another, and in what."""
    if name != "saes" or [sae["layer"] for sae in before] != [sae["layer"] for sae in now]:
        return f"{name}: {_short(before)} -> {_short(now)}"
    parts: list[str] = []
    for was, sae in zip(before, now, strict=True):
        fields_changed = [key for key in sae if was.get(key) != sae[key]]
        if fields_changed == ["identity"]:
            parts.append(f"{sae['name']} has the same weights and another config or factor")
        elif fields_changed:
            named = [key for key in fields_changed if key != "identity"]
            parts.append(f"{sae['name']} has another {' and '.join(named)}")
    return f"saes: {', '.join(parts)}"


def _short(value: Any) -> str:
    """A value in a few words; of a list of texts, the texts."""
    are_texts = isinstance(value, list) and value and all(isinstance(each, str) for each in value)
    text = ", ".join(map(json.dumps, value)) if are_texts else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
