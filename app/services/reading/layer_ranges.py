"""Layer lists as people type them, such as 5-7 or 2,5."""

import re

_LAYERS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


class InvalidQuery(ValueError):
    """The query cannot be read; the message is a sentence for the person who typed it."""


def parse_layers(value: str) -> frozenset[int]:
    """The layers that a text such as 5-7 or 2,5 names. Raises InvalidQuery."""
    layers: set[int] = set()
    for part in value.split(","):
        match = _LAYERS.fullmatch(part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise InvalidQuery(f"layer:{value[:30]} is not a list of layers such as layer:5-7 or layer:2,5.")
        layers.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return frozenset(layers)
