"""Files: templates, migrations and data, inside the installed package or in a checkout beside it; their checksums."""

import hashlib
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_PACKAGE = Path(__file__).parent


def _shipped(name: str) -> Path:
    for folder in (_PACKAGE / f"_{name}", _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"this installation lacks its {name} folder; install head-atlas again")


def frontend_dir() -> Path:
    """The folder that holds templates/ and static/."""
    return _shipped("frontend")


def migrations_dir() -> Path:
    """The folder that holds env.py and versions/."""
    return _shipped("migrations")


def embedded_dir() -> Path:
    """The folder of the data that the package carries."""
    return _PACKAGE / "embedded"


@contextmanager
def naming(path: Path) -> Generator[None]:
    """Give errors of the disk the path of the file that is read or written: of an open file the system tells none."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def open_new(path: Path) -> BinaryIO:
    """A file made now, to be written: what stood at its name is removed, and a link there is not followed.

    Raises OSError.
    """
    path.unlink(missing_ok=True)
    return path.open("xb")


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal. Raises OSError."""
    with naming(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(path: Path) -> None:
    """Remove what is there: a file, a link, or a folder with all that it holds. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
