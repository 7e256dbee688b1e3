"""Named numpy arrays as one compressed block of bytes, readable without torch or pickle.

Layout: magic, uncompressed length, then a zlib stream of: header length, JSON header
[[name, dtype, shape], ...] sorted by name, and the little-endian buffers in that order.
Of format 2 each buffer has the first bytes of all its elements first, then the second ones and so on, and the stream
was made with KNOWN_TEXT as its preset dictionary. Format 1, of older stores, has neither.
"""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
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
Layout = tuple[tuple[str, np.dtype, tuple[int, ...]], ...]  # name, dtype and shape of each array, by name


def pack(arrays: Arrays) -> bytes:
    """The arrays as one block: the same arrays give the same bytes, whatever the order of their names.

    Raises TypeError for a dtype that is no plain number or bool, ValueError over MAX_UNPACKED bytes.
    """
    return pack_all([arrays])[0]


def pack_all(blocks: Sequence[Arrays]) -> list[bytes]:
    """The block that `pack` gives of each, in less time: arrays of the same names, dtypes and shapes go together."""
    places: dict[Layout, list[int]] = {}
    for place, arrays in enumerate(blocks):
        layout = tuple([(name, arrays[name].dtype, arrays[name].shape) for name in sorted(arrays)])
        places.setdefault(layout, []).append(place)
    packed = [b""] * len(blocks)
    for layout, of_layout in places.items():
        for place, body in zip(of_layout, _bodies(layout, [blocks[i] for i in of_layout]), strict=True):
            packed[place] = _compress(body.data)
    return packed


def unpack(blob: bytes, prefix: str = "") -> dict[str, NDArray[np.generic]]:
    """The arrays of a block whose names begin so, read-only.

    Raises InvalidStore when the block is damaged or not one of ours.
    """
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
            if name.startswith(prefix):
                arrays[name] = read(body, np.dtype(dtype), count, start).reshape(shape)
            start += count * np.dtype(dtype).itemsize
    except (struct.error, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidStore("a stored block is damaged: its header does not fit its data") from error
    if start != len(body):
        raise InvalidStore("a stored block is damaged: its header does not fit its data")
    return arrays


def _bodies(layout: Layout, blocks: Sequence[Arrays]) -> NDArray[np.uint8]:
    """What is compressed of each of the blocks, whose arrays are all of this layout: [blocks, bytes]."""
    header, moves = _header(layout), _moves(layout)
    n_bytes = moves[-1][0].stop
    if n_bytes > MAX_UNPACKED:
        raise ValueError(f"{n_bytes} bytes are more than a block may hold ({MAX_UNPACKED})")
    names = [name for name, _, _ in layout]
    buffers = [b"".join((header, *[arrays[name].tobytes() for name in names])) for arrays in blocks]
    by_element = np.frombuffer(b"".join(buffers), np.uint8).reshape(len(blocks), n_bytes)
    bodies = np.empty_like(by_element)
    for to, of in moves:
        bodies[:, to] = by_element[:, of]
    return bodies


@lru_cache(256)  # features with as many examples have the same
def _header(layout: Layout) -> bytes:
    for name, dtype, _ in layout:
        if dtype.newbyteorder("<").str not in _DTYPES:
            raise TypeError(f"array {name!r} has dtype {dtype}, which a block cannot hold")
    header = [(name, dtype.newbyteorder("<").str, shape) for name, dtype, shape in layout]
    text = json.dumps(header, separators=(",", ":")).encode()
    return _HEADER_LENGTH.pack(len(text)) + text


@lru_cache(256)
def _moves(layout: Layout) -> list[tuple[slice, slice]]:
    """Where bytes of a block go to and come from, so that the first bytes of all elements of an array come first.

    After them the second ones and so on: like bytes side by side compress better.
    """
    end = len(_header(layout))
    moves = [(slice(0, end), slice(0, end))]
    for _, dtype, shape in layout:
        start, count, size = end, prod(shape), dtype.itemsize
        end = start + count * size
        is_little = dtype == dtype.newbyteorder("<")
        for place in range(size):
            to = slice(start + place * count, start + (place + 1) * count)
            moves.append((to, slice(start + (place if is_little else size - 1 - place), end, size)))
    return moves


def _compress(body: memoryview) -> bytes:
    stream = zlib.compressobj(_LEVEL, zdict=KNOWN_TEXT)
    return _PREFIX.pack(MAGIC, len(body)) + stream.compress(body) + stream.flush()


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
