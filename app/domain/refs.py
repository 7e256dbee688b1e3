"""References to heads, features and examples: parse, print and order them."""

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
_EXAMPLE_FORM = re.compile(rf"L{_NUMBER}H{_NUMBER}:{_NUMBER}:{_NUMBER}", re.ASCII)
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


@dataclass(frozen=True, order=True)
class ExampleRef:
    """One example of what a head attends to: a destination in the run's corpus. Prints as L5H1:12:34.

    sequence: of the corpus as tokenised, from 0. position: in it, the beginning-of-sequence token being 0.
    """

    layer: int
    head: int
    sequence: int
    position: int

    @classmethod
    def parse(cls, text: str) -> "ExampleRef":
        """The example that the text names. Raises InvalidReference when it names none."""
        match = _EXAMPLE_FORM.fullmatch(text)
        numbers = [int(part) for part in match.groups()] if match else []
        if not numbers or max(numbers) > MAX_INDEX:
            raise InvalidReference(f"{text[:60]!r} is not an example of a head such as L5H1:12:34")
        return cls(*numbers)

    @property
    def head_ref(self) -> HeadRef:
        return HeadRef(self.layer, self.head)

    def __str__(self) -> str:
        return f"{self.head_ref}:{self.sequence}:{self.position}"


LabelledRef = FeatureRef | ExampleRef  # what a label of a head is of


def parse_labelled(text: str) -> LabelledRef:
    """The feature or example that the text names. Raises InvalidReference when it names neither."""
    return ExampleRef.parse(text) if ":" in text else FeatureRef.parse(text)
