"""Files of arrays that a job may lose: each array has a checksum, and a file is there whole or not at all."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from app.paths import naming, open_new
from app.statistics.arrays import AnyArray


def write_arrays(path: Path, arrays: Mapping[str, AnyArray]) -> None:
    """Write a temporary name, then rename it; nothing is left where that fails. Raises OSError with the path."""
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    try:
        with naming(temporary), open_new(temporary) as file:
            np.savez(file, allow_pickle=False, **arrays)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_arrays(path: Path) -> dict[str, AnyArray]:
    """The arrays of a file. Raises FileNotFoundError, and for damage whatever a damaged zip raises: a dozen types."""
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
