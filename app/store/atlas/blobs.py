"""Named numpy arrays as one compressed block of bytes, readable without torch or pickle.

Layout: magic, uncompressed length, then a zlib stream of: header length, JSON header
[[name, dtype, shape], ...] sorted by name, and the little-endian buffers in that order.
Of format 2 each buffer has the first bytes of all its elements first, then the second ones and so on, and the stream
was made with KNOWN_TEXT as its preset dictionary. Format 1, of older stores, has neither.
"""

import json
import struct
import zlib
from collections.abc import Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidStore
from app.store.atlas.known_text import KNOWN_TEXT

MAGIC, OLDER_MAGIC = b"HAb2", b"HAb1"
# A block is the data of one feature, tens of kilobytes; a damaged length must not fill the memory.
MAX_UNPACKED = 64 * 2**20
_PREFIX = struct.Struct("<4sI")
_HEADER_LENGTH = struct.Struct("<I")
_DTYPES = frozenset({"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"})
_LEVEL = 6

Arrays = Mapping[str, NDArray[np.generic]]


def pack(arrays: Arrays) -> bytes:
    """The arrays as one block: the same arrays give the same bytes, whatever the order of their names.

    Raises TypeError for a dtype that is no plain number or bool, ValueError over MAX_UNPACKED bytes.
    """
    header: list[tuple[str, str, list[int]]] = []
    buffers: list[bytes] = []
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        little = array.dtype.newbyteorder("<")
        if little.str not in _DTYPES:
            raise TypeError(f"array {name!r} has dtype {array.dtype}, which a block cannot hold")
        header.append((name, little.str, list(array.shape)))
        buffers.append(_by_byte(array.astype(little, copy=False)))
    text = json.dumps(header, separators=(",", ":")).encode()
    body = b"".join((_HEADER_LENGTH.pack(len(text)), text, *buffers))
    if len(body) > MAX_UNPACKED:
        raise ValueError(f"{len(body)} bytes are more than a block may hold ({MAX_UNPACKED})")
    stream = zlib.compressobj(_LEVEL, zdict=KNOWN_TEXT)
    return _PREFIX.pack(MAGIC, len(body)) + stream.compress(body) + stream.flush()


def unpack(blob: bytes) -> dict[str, NDArray[np.generic]]:
    """The arrays of a block, read-only. Raises InvalidStore when the block is damaged or not one of ours."""
    body = _decompress(blob)
    read = _from_bytes if blob.startswith(MAGIC) else np.frombuffer
    try:
        (header_length,) = _HEADER_LENGTH.unpack_from(body)
        start = _HEADER_LENGTH.size + header_length
        header: list[tuple[str, str, list[int]]] = json.loads(body[_HEADER_LENGTH.size : start])
        arrays: dict[str, NDArray[np.generic]] = {}
        for name, dtype, shape in header:
            if dtype not in _DTYPES:
                raise InvalidStore(f"a stored block holds an array of unknown kind {dtype[:20]!r}")
            count = prod(shape)
            arrays[name] = read(body, np.dtype(dtype), count, start).reshape(shape)
            start += count * np.dtype(dtype).itemsize
    except (struct.error, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidStore("a stored block is damaged: its header does not fit its data") from error
    if start != len(body):
        raise InvalidStore("a stored block is damaged: its header does not fit its data")
    return arrays


def _by_byte(array: NDArray[np.generic]) -> bytes:
    """The first bytes of all elements, then the second ones and so on: like bytes side by side compress better."""
    return array.reshape(-1, 1).view(np.uint8).T.tobytes()


def _from_bytes(body: bytes, dtype: np.dtype, count: int, start: int) -> NDArray[np.generic]:
    """The array of `_by_byte`, read-only."""
    by_byte = np.frombuffer(body, np.uint8, count * dtype.itemsize, start).reshape(dtype.itemsize, count)
    if dtype.itemsize == 1:
        return by_byte[0].view(dtype)
    elements = np.empty((count, dtype.itemsize), np.uint8)
    for place, values in enumerate(by_byte):  # several times as fast as a transposed copy
        elements[:, place] = values
    elements.flags.writeable = False
    return elements.view(dtype)


def _decompress(blob: bytes) -> bytes:
    if len(blob) < _PREFIX.size or not blob.startswith((MAGIC, OLDER_MAGIC)):
        raise InvalidStore("a stored block is damaged: it does not begin as one")
    _, length = _PREFIX.unpack_from(blob)
    if length > MAX_UNPACKED:
        raise InvalidStore(f"a stored block is damaged: it claims {length} bytes")
    stream = zlib.decompressobj(zdict=KNOWN_TEXT) if blob.startswith(MAGIC) else zlib.decompressobj()
    try:
        # One byte more than claimed is enough to notice that a block is longer than it says.
        body = stream.decompress(blob[_PREFIX.size :], length + 1)
    except zlib.error as error:
        raise InvalidStore("a stored block is damaged: it cannot be decompressed") from error
    if len(body) != length or not stream.eof or stream.unused_data:
        raise InvalidStore("a stored block is damaged: its length is not the one it claims")
    return body
