"""Payloads as they are made, batch by batch: in memory up to a bound, then in files until their layer is published."""

from pathlib import Path

from app.errors import AppError
from app.precompute.array_files import read_arrays, write_arrays
from app.statistics.payloads import Payloads

MEMORY_BYTES = 2**30
_KEY = "key"  # no column has this name


class PayloadParts:
    """The parts of each layer's payloads. folder: where what does not fit into `memory_bytes` is written."""

    def __init__(self, folder: Path, memory_bytes: int = MEMORY_BYTES) -> None:
        self._folder, self._memory_bytes = folder, memory_bytes
        self._in_memory: dict[int, list[Payloads]] = {}
        self._files: dict[int, list[Path]] = {}
        self._n_bytes = 0

    def add(self, layer: int, part: Payloads) -> None:
        """Add payloads of a layer. Raises OSError, with the path, where the disk does not take them."""
        if self._n_bytes + part.n_bytes <= self._memory_bytes:
            self._in_memory.setdefault(layer, []).append(part)
            self._n_bytes += part.n_bytes
            return
        files = self._files.setdefault(layer, [])
        path = self._folder / f"payloads-L{layer}-{len(files):06d}.npz"
        write_arrays(path, {_KEY: part.key, **part.columns})
        files.append(path)

    def take(self, layer: int) -> Payloads:
        """All payloads of a layer, once: its files are removed. Raises AppError for a file that is damaged."""
        parts = self._in_memory.pop(layer, [])
        self._n_bytes -= sum(part.n_bytes for part in parts)
        files = self._files.pop(layer, [])
        joined = Payloads.joined([*parts, *map(_read, files)])
        for path in files:
            path.unlink()
        return joined


def _read(path: Path) -> Payloads:
    """The payloads of a file, whose arrays each have a checksum."""
    try:
        columns = read_arrays(path)
    except Exception as error:  # a damaged zip raises a dozen types
        raise AppError(
            f"{path} is damaged or missing; run the same command again, and it is made anew"
        ) from error
    return Payloads(columns.pop(_KEY), columns)
