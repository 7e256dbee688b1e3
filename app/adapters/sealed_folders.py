"""Folders that later processes read again: a manifest, written last, holds the checksum of every file in them."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.domain.records import Json
from app.errors import AppError
from app.paths import file_sha256, naming, open_new

_log = logging.getLogger(__name__)


class DamagedFolder(AppError):
    """A file of a sealed folder is not as it was written."""


def seal_folder(folder: Path, manifest: str, facts: Mapping[str, Json]) -> None:
    """Write the manifest: facts, and the checksum of every file that is there. From then on the folder is whole."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files = {path.relative_to(folder).as_posix(): file_sha256(path) for path in paths}
    content: dict[str, Json] = {**facts, "files": {**files}}
    content["sha256"] = _digest(content)
    scratch = folder / f"{manifest}.tmp{os.getpid()}"
    with naming(scratch), open_new(scratch) as file:
        file.write(json.dumps(content).encode())
    scratch.replace(folder / manifest)


def read_sealed_folder(folder: Path, manifest: str) -> dict[str, Any]:
    """Check every file, and return the manifest. Raises DamagedFolder with the first thing that is wrong."""
    content = _read_manifest(folder / manifest)
    for name, checksum in content["files"].items():
        try:
            same = file_sha256(folder / name) == checksum
        except OSError as error:
            raise DamagedFolder(f"{folder / name} cannot be read ({error.strerror})") from error
        if not same:
            raise DamagedFolder(f"{folder / name} is damaged")
    return content


def whole_folder(folder: Path, manifest: str, remedy: str = "is made again") -> dict[str, Any] | None:
    """The manifest of a folder that is whole; None for one that is to be made, which is logged where it was there."""
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return None
    try:
        return read_sealed_folder(folder, manifest)
    except DamagedFolder as error:
        _log.warning("%s, and %s", error, remedy)
        return None


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        content: Any = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DamagedFolder(f"{path.parent} is incomplete, or of an earlier version") from error
    except OSError as error:
        raise DamagedFolder(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise DamagedFolder(f"{path} is damaged") from error
    if isinstance(content, dict) and "files" not in content:
        raise DamagedFolder(f"{path.parent} is incomplete, or of an earlier version")
    if not isinstance(content, dict) or content.pop("sha256", None) != _digest(content):
        raise DamagedFolder(f"{path} is damaged")
    return content


def _digest(content: Mapping[str, Json]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
