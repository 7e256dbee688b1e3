"""References to heads and features: parse, print and order them."""

import re
from dataclasses import dataclass

from app.errors import AppError

MAX_INDEX = 2**31 - 1
_NUMBER = r"(0|[1-9][0-9]{0,9})"
_HEAD_FORMS = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        rf"L{_NUMBER}\.?H{_NUMBER}",
        rf"[aH]?{_NUMBER}\.h?{_NUMBER}",
        rf"{_NUMBER}/{_NUMBER}",
    )
)
_FEATURE_FORMS = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (rf"L{_NUMBER}\.?F{_NUMBER}", rf"{_NUMBER}/{_NUMBER}")
)


class InvalidReference(AppError):
    """The text does not name a head or feature."""

    status_code = 404


def _parse(text: str, forms: tuple[re.Pattern[str], ...], kind: str, example: str) -> tuple[int, int]:
    for form in forms:
        if match := form.fullmatch(text.strip()):
            layer, index = int(match[1]), int(match[2])
            if max(layer, index) <= MAX_INDEX:
                return layer, index
    raise InvalidReference(f"{text[:60]!r} is not a {kind} reference such as {example}")


@dataclass(frozen=True, order=True)
class HeadRef:
    """One attention head. Prints as L5H1; also parses 5.1, H5.1, a5.h1 and 5/1."""

    layer: int
    head: int

    @classmethod
    def parse(cls, text: str) -> "HeadRef":
        """The head that the text names. Raises InvalidReference when it names none."""
        return cls(*_parse(text, _HEAD_FORMS, "head", "L5H1"))

    def __str__(self) -> str:
        return f"L{self.layer}H{self.head}"


@dataclass(frozen=True, order=True)
class FeatureRef:
    """One feature of a layer's SAE. Prints as L5F35744; also parses 5/35744."""

    layer: int
    index: int

    @classmethod
    def parse(cls, text: str) -> "FeatureRef":
        """The feature that the text names. Raises InvalidReference when it names none."""
        return cls(*_parse(text, _FEATURE_FORMS, "feature", "L5F35744"))

    def __str__(self) -> str:
        return f"L{self.layer}F{self.index}"
