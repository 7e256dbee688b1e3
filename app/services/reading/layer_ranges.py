"""Layer lists as people type them, such as 5-7 or 2,5."""

import re

_LAYERS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


class InvalidQuery(ValueError):
    """The query cannot be read; the message is a sentence for the person who typed it."""


def parse_layers(value: str) -> frozenset[int]:
    """The layers that a text such as 5-7 or 2,5 names. Raises InvalidQuery."""
    layers = listed_layers(value)
    if layers is None:
        raise InvalidQuery(f"layer:{value[:30]} is not a list of layers such as layer:5-7 or layer:2,5.")
    return layers


def listed_layers(text: str) -> frozenset[int] | None:
    """The layers that a text such as 5-7 or 2,5 names; None for any other text."""
    layers: set[int] = set()
    for part in text.split(","):
        match = _LAYERS.fullmatch(part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            return None
        layers.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return frozenset(layers)
