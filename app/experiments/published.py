"""Published roles of heads of GPT-2 small, to compare detectors with."""

from app.domain.refs import HeadRef


def _heads(*names: str) -> frozenset[HeadRef]:
    return frozenset(HeadRef.parse(name) for name in names)


# Source: Krzyzanowski et al. 2024, "We Inspected Every Head In GPT-2 Small using SAEs So You Don't Have To".
KNOWN_HEADS_GPT2_SMALL: dict[str, frozenset[HeadRef]] = {
    "induction": _heads("5.1", "5.5", "6.9", "7.2", "7.10"),
    "previous_token": _heads("4.11"),
    "copy_suppression": _heads("10.7"),
    "duplicate_token": _heads("3.0"),
    "successor": _heads("9.1"),
}
