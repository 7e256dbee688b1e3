"""Fold sealed partials in shard order, one layer at a time, so that memory does not grow with the shards."""

from collections.abc import Sequence
from typing import TypeVar

from app.domain.records import Json
from app.precompute.partial_files import SealedFile, open_sealed
from app.precompute.plan import Unit
from app.precompute.work_folder import WorkFolder
from app.statistics.partial import Partial

P = TypeVar("P", bound=Partial)


class SealedRun:
    """The sealed files of a finished pass; each is checked once, and partials are read one by one."""

    def __init__(self, folder: WorkFolder, units: Sequence[Unit]) -> None:
        self._files: dict[Unit, SealedFile] = {
            unit: open_sealed(folder.sealed_path(unit)) for unit in sorted(units)
        }

    def facts(self, name: str) -> list[Json]:
        """A fact of all files that have it."""
        return [file.header.facts[name] for file in self._files.values() if name in file.header.facts]

    def fold(self, kind: str, name: str, empty: P) -> P:
        """Merge the partials of this name over all units of a kind, in shard order for reproducible sums."""
        merged: P = empty
        for unit, file in self._files.items():
            if unit.kind == kind:
                part = file.read(name)
                if not isinstance(part, type(empty)):
                    raise TypeError(f"{unit.file_name} holds a {type(part).__name__} as {name}")
                merged = merged.merge(part)
        return merged
