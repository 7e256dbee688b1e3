"""A whole sealed file at once."""

from collections.abc import Iterable
from pathlib import Path

from app.precompute.partial_files import SealedHeader, open_sealed
from app.statistics.partial import Partial


def read_sealed(path: Path, names: Iterable[str] | None = None) -> tuple[SealedHeader, dict[str, Partial]]:
    """The header and the named partials, or all. Raises CorruptPartial, or KeyError on an unknown name."""
    sealed = open_sealed(path)
    return sealed.header, {name: sealed.read(name) for name in (sealed.names if names is None else names)}
