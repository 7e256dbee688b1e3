"""Named numpy arrays as one compressed block of bytes, readable without torch or pickle.

Layout: magic, uncompressed length, then a zlib stream of: header length, JSON header
[[name, dtype, shape], ...] sorted by name, and the raw little-endian buffers in that order.
"""

import json
import struct
import zlib
from collections.abc import Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidStore

MAGIC = b"HAb1"
# A block is the data of one feature, tens of kilobytes; a damaged length must not fill the memory.
MAX_UNPACKED = 64 * 2**20
_PREFIX = struct.Struct("<4sI")
_HEADER_LENGTH = struct.Struct("<I")
_DTYPES = frozenset({"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"})
# Most of a block is the noise of float32, which no level compresses: higher ones only take longer.
_LEVEL = 1

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
        buffers.append(array.astype(little, copy=False).tobytes())
    text = json.dumps(header, separators=(",", ":")).encode()
    body = b"".join((_HEADER_LENGTH.pack(len(text)), text, *buffers))
    if len(body) > MAX_UNPACKED:
        raise ValueError(f"{len(body)} bytes are more than a block may hold ({MAX_UNPACKED})")
    return _PREFIX.pack(MAGIC, len(body)) + zlib.compress(body, _LEVEL)


def unpack(blob: bytes) -> dict[str, NDArray[np.generic]]:
    """The arrays of a block, read-only. Raises InvalidStore when the block is damaged or not one of ours."""
    body = _decompress(blob)
    try:
        (header_length,) = _HEADER_LENGTH.unpack_from(body)
        start = _HEADER_LENGTH.size + header_length
        header: list[tuple[str, str, list[int]]] = json.loads(body[_HEADER_LENGTH.size : start])
        arrays: dict[str, NDArray[np.generic]] = {}
        for name, dtype, shape in header:
            if dtype not in _DTYPES:
                raise InvalidStore(f"a stored block holds an array of unknown kind {dtype[:20]!r}")
            count = prod(shape)
            arrays[name] = np.frombuffer(body, np.dtype(dtype), count, start).reshape(shape)
            start += count * np.dtype(dtype).itemsize
    except (struct.error, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidStore("a stored block is damaged: its header does not fit its data") from error
    if start != len(body):
        raise InvalidStore("a stored block is damaged: its header does not fit its data")
    return arrays


def _decompress(blob: bytes) -> bytes:
    if len(blob) < _PREFIX.size or not blob.startswith(MAGIC):
        raise InvalidStore("a stored block is damaged: it does not begin as one")
    _, length = _PREFIX.unpack_from(blob)
    if length > MAX_UNPACKED:
        raise InvalidStore(f"a stored block is damaged: it claims {length} bytes")
    stream = zlib.decompressobj()
    try:
        # One byte more than claimed is enough to notice that a block is longer than it says.
        body = stream.decompress(blob[_PREFIX.size :], length + 1)
    except zlib.error as error:
        raise InvalidStore("a stored block is damaged: it cannot be decompressed") from error
    if len(body) != length or not stream.eof or stream.unused_data:
        raise InvalidStore("a stored block is damaged: its length is not the one it claims")
    return body
