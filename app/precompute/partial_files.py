"""Sealed files: named partials of some shards in one immutable file that is either complete or absent.

Layout: magic, length of the header, header (JSON), the partials' arrays, sha256 of everything before it. Each
partial's arrays are contiguous, so one partial can be read without the others. Numbers are little-endian and
short (`short_arrays`), nothing is pickled, and the same partials give the same bytes.
"""

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from app.domain.records import Json
from app.errors import AppError, OutOfSpace
from app.paths import naming, open_new, remove
from app.precompute.short_arrays import NUMBERS, ArrayForm
from app.statistics.arrays import AnyArray
from app.statistics.attention_partial import AttentionPartial
from app.statistics.feature_partial import FeaturePartial
from app.statistics.head_partial import HeadScorePartial
from app.statistics.partial import Partial

SCHEMA_VERSION = 2  # raise it when the layout changes, or a statistic its meaning but not its arrays
_MAGIC = b"head-atlas\x00seal\x1a"  # 16 bytes; the NUL and ^Z keep tools from taking it for text
_ALIGNMENT = 64
_DIGEST_BYTES = hashlib.sha256().digest_size
_CHUNK_BYTES = 1 << 20
_CLASSES: dict[str, type[Partial]] = {
    cls.__name__: cls for cls in (AttentionPartial, FeaturePartial, HeadScorePartial)
}
_TEMPORARY = re.compile(r".+\.tmp(\d+)", re.ASCII)


class CorruptPartial(AppError):
    """The file is not a sealed partial, or has changed since it was written."""


@dataclass(frozen=True)
class SealedHeader:
    """The header of a sealed file.

    It must not depend on the time or the executor, as equal work gives equal bytes.
    """

    plan: str  # fingerprint of the run plan
    shards: tuple[int, ...]
    facts: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class SealedFile:
    """A sealed file that was checked.

    It keeps no file open, so any number of them can be merged layer by layer.
    """

    path: Path
    header: SealedHeader
    names: tuple[str, ...]
    _index: dict[str, Any] = field(repr=False)
    _body_offset: int = field(repr=False)

    def read(self, name: str) -> Partial:
        """Read one partial and check its checksum again. Raises KeyError or CorruptPartial.

        Its arrays are read-only.
        """
        entry = self._index[name]
        with _opened(self.path) as file:
            file.seek(self._body_offset + entry["offset"])
            buffer = file.read(entry["nbytes"])
        if hashlib.sha256(buffer).hexdigest() != entry["sha256"]:
            raise CorruptPartial(f"{self.path} changed while it was read")
        try:
            arrays = {key: _array(buffer, *spec) for key, spec in entry["arrays"].items()}
            return _CLASSES[entry["class"]].from_arrays(arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptPartial(f"{self.path} holds {name} in a form unknown to this version") from error


def write_sealed(path: Path, header: SealedHeader, partials: Mapping[str, Partial]) -> None:
    """Write a sealed file under a temporary name, flush it, then rename: readers see all of it or nothing.

    Raises ValueError if a partial has another plan or other shards than the header, and OutOfSpace if the
    disk is full; no file is left behind then.
    """
    for name, partial in partials.items():
        if partial.plan != header.plan or tuple(partial.shards) != tuple(sorted(header.shards)):
            raise ValueError(f"partial {name} and its file differ in plan or shards")
    blocks = list(_blocks(header, partials))
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    try:
        with naming(temporary), open_new(temporary) as file:
            digest = hashlib.sha256()
            for block in blocks:
                digest.update(block)
                file.write(block)
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
        if path.is_dir():
            remove(path)
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            needed = sum(len(block) for block in blocks)
            raise OutOfSpace(f"no space left in {path.parent} for {path.name} ({needed} bytes)") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def open_sealed(path: Path) -> SealedFile:
    """Check the whole file against its checksum, and its arrays against this version's statistics; loads no partial.

    Raises CorruptPartial, or FileNotFoundError.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(len(_MAGIC)) != _MAGIC or size < len(_MAGIC) + 8 + _DIGEST_BYTES:
            raise CorruptPartial(f"{path} is not a sealed partial, or is cut short")
        if not _is_whole(file, size):
            raise CorruptPartial(f"{path} is damaged: its checksum does not match")
        file.seek(len(_MAGIC))
        header_bytes = int.from_bytes(file.read(8), "little")
        raw = json.loads(file.read(header_bytes))
    if raw["schema"] != SCHEMA_VERSION:
        raise CorruptPartial(f"{path} was made by another version (format {raw['schema']})")
    for name, entry in raw["partials"].items():
        if not (partial := _CLASSES.get(entry["class"])) or not partial.has_arrays(entry["arrays"]):
            raise CorruptPartial(f"{path} holds {name} in a form unknown to this version")
    return SealedFile(
        path=path,
        header=SealedHeader(raw["plan"], tuple(raw["shards"]), raw["facts"]),
        names=tuple(raw["partials"]),
        _index=raw["partials"],
        _body_offset=len(_MAGIC) + 8 + header_bytes,
    )


def sweep_temporary(directory: Path) -> list[Path]:
    """Remove temporary files that killed processes left behind, and return their paths.

    Files of live processes on this machine are left. Call it only while no other machine writes to the
    folder.
    """
    stale = [path for path in sorted(directory.iterdir()) if _is_stale(path)]
    for path in stale:
        remove(path)
    return stale


def _is_stale(path: Path) -> bool:
    match = _TEMPORARY.fullmatch(path.name)
    if not match:
        return False
    pid = int(match[1])
    if pid == os.getpid():  # after a restart in a container, ids repeat; this process is not writing now
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def _blocks(header: SealedHeader, partials: Mapping[str, Partial]) -> Iterator[bytes | memoryview]:
    """The bytes of a file before its trailer."""
    index: dict[str, Any] = {}
    body: list[bytes | memoryview] = []
    offset = 0
    for name in sorted(partials):
        arrays, blocks, nbytes = _packed(partials[name].to_arrays())
        digest = hashlib.sha256()
        for block in blocks:
            digest.update(block)
        index[name] = {
            "class": type(partials[name]).__name__,
            "offset": offset,
            "nbytes": nbytes,
            "sha256": digest.hexdigest(),
            "arrays": arrays,
        }
        body += blocks
        offset += nbytes
    described = {"schema": SCHEMA_VERSION, "plan": header.plan, "shards": sorted(header.shards)}
    text = json.dumps(described | {"facts": header.facts, "partials": index}, sort_keys=True, allow_nan=False)
    encoded = text.encode()
    encoded += b" " * (-(len(_MAGIC) + 8 + len(encoded)) % _ALIGNMENT)
    yield _MAGIC + len(encoded).to_bytes(8, "little") + encoded
    yield from body


def _packed(arrays: Mapping[str, AnyArray]) -> tuple[dict[str, Any], list[bytes | memoryview], int]:
    """(offset, form) of each array; the blocks, each padded to the alignment; their total size."""
    specs: dict[str, Any] = {}
    blocks: list[bytes | memoryview] = []
    offset = 0
    for name in sorted(arrays):
        if arrays[name].dtype.kind not in NUMBERS:
            raise TypeError(f"array {name} has dtype {arrays[name].dtype}, which a sealed file cannot hold")
        form = ArrayForm.of(arrays[name])
        stored = form.shorten(arrays[name])
        specs[name] = [offset, *form.to_json()]
        padding = -stored.nbytes % _ALIGNMENT
        blocks += [stored.data, bytes(padding)]
        offset += stored.nbytes + padding
    return specs, blocks, offset


def _array(buffer: bytes, offset: int, *form: Any) -> AnyArray:
    return ArrayForm.from_json(*form).lengthen(buffer, offset)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The opened file. Raises CorruptPartial if it cannot be read, FileNotFoundError if it does not exist."""
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CorruptPartial(f"{path} cannot be read ({error.strerror})") from error


def _is_whole(file: BinaryIO, size: int) -> bool:
    file.seek(0)
    digest, left = hashlib.sha256(), size - _DIGEST_BYTES
    while left > 0 and (block := file.read(min(_CHUNK_BYTES, left))):
        digest.update(block)
        left -= len(block)
    return file.read() == digest.digest()


def _sync_directory(directory: Path) -> None:
    """Flush a directory, without which a rename in it may not survive a power loss."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with naming(directory):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
