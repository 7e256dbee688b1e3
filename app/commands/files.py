"""Files that commands read and write: formats by their ending, and all of a file or none."""

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from app.errors import AppError
from app.paths import open_new

Format = TypeVar("Format", bound=str)


class UnusableFile(AppError):
    """A file that cannot be read or written, or whose name does not tell its format."""


def format_of(path: Path, formats: Sequence[Format]) -> Format:
    """The format that the ending of the file's name tells. Raises UnusableFile."""
    ending = path.suffix.removeprefix(".").lower()
    for file_format in formats:
        if file_format == ending:
            return file_format
    raise UnusableFile(f"{path.name} does not end in {', '.join(formats)}; its format is not known")


def read_file(path: Path, max_bytes: int) -> bytes:
    """The file, or one byte more than is read of it: then the reader says that it is too large. Raises UnusableFile."""
    try:
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except OSError as error:
        raise UnusableFile(f"{path} cannot be read: {error.strerror}") from error


def write_whole(path: Path, data: bytes) -> None:
    """Write all of the file or none: a reader never finds half of it. Raises UnusableFile."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with open_new(partial) as file:
            file.write(data)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UnusableFile(f"{path} cannot be written: {error.strerror}") from error
