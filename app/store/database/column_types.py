"""Column types that hold the same values on SQLite and on Postgres."""

import math
import operator
from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, Double, Integer, String, TypeDecorator
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.types import TypeEngine

from app.domain.annotations.note_text import MAX_NAME_BYTES, MAX_NOTE_BYTES, InvalidText, check_text
from app.errors import AppError


class UnstorableText(InvalidText, DontWrapMixin):
    """A text that no column holds, or that is longer than its column; it came past the checks of its field."""


class CheckedText(TypeDecorator[str]):
    """A text that comes back as it was stored: the last gate for all that is stored or looked up, on both engines.

    SQLite would store NUL and control characters, and fail on lone surrogates; Postgres fails on both.
    """

    impl = String
    cache_ok = True

    def __init__(self, max_bytes: int = MAX_NOTE_BYTES) -> None:
        super().__init__()
        self.max_bytes = max_bytes

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """Sort by bytes on both engines: a database's own collation would sort pages differently from SQLite."""
        collation = "C" if dialect.name == "postgresql" else None
        return dialect.type_descriptor(String(collation=collation))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return the text as it is if it can be stored. Raises UnstorableText."""
        if value is None or (len(value) * 4 <= self.max_bytes and value.isprintable()):
            return value
        try:
            return check_text(value, "a text", self.max_bytes)
        except AppError as error:
            raise UnstorableText(str(error)) from None


Text = CheckedText()
# A name, a checksum, a key: as long as the fields that people type names into.
NameText = CheckedText(MAX_NAME_BYTES)


class UtcDateTime(TypeDecorator[datetime]):
    """A time with a zone, stored and read in UTC. SQLite alone would drop the zone together with its offset."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time in UTC. Raises ValueError for one without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo is not None else value.replace(tzinfo=UTC)


class Whole(TypeDecorator[int]):
    """An integer. SQLite would store one of numpy's as its raw bytes, without a word."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """The value as an int. Raises TypeError for a float, even a whole one."""
        return None if value is None else operator.index(value)


class BigWhole(Whole):
    """An integer of up to 63 bits: token counts and bytes."""

    impl = BigInteger
    cache_ok = True


class Finite(TypeDecorator[float]):
    """A float64 that is a number. SQLite would store NaN as NULL without a word, Postgres would keep it."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:  # noqa: ARG002
        """The value as a float. Raises ValueError for NaN and infinities."""
        if value is None:
            return None
        value = float(value)  # numpy's float32 is not a type that either driver knows
        if not math.isfinite(value):
            raise ValueError(f"{value} cannot be stored: it is not a finite number")
        return value


class FiniteOrNull(TypeDecorator[float]):
    """A float64 for which NaN means 'there is none' and is stored as NULL."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:  # noqa: ARG002
        """The value as a float, None for NaN. Raises ValueError for infinities."""
        if value is None or math.isnan(value):
            return None
        if math.isinf(value):
            raise ValueError(f"{value} cannot be stored: it is not a finite number")
        return float(value)
