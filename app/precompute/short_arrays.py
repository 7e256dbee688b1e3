"""Arrays of sealed files without bytes that say nothing: half of a symmetric matrix, bytes that are always the same.

Both come back bit for bit. What is left are mostly random keys and sums, which do not compress.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from app.statistics.arrays import AnyArray

NUMBERS = "biuf"  # kinds of dtype


@dataclass(frozen=True)
class ArrayForm:
    """What the bytes of an array are, little-endian."""

    dtype: str
    shape: tuple[int, ...]
    common: int  # the bits of the bytes that are the same in all numbers
    places: tuple[int, ...]  # of the bytes of each number that are stored, the lowest is 0
    is_symmetric: bool  # only the rows up to the diagonal are there

    @classmethod
    def of(cls, array: AnyArray) -> Self:
        """The shortest form of an array of numbers."""
        little = array.dtype.newbyteorder("<")
        return cls(little.str, array.shape, *_common(array.astype(little, copy=False)), _is_symmetric(array))

    @classmethod
    def from_json(
        cls, dtype: str, shape: list[int], common: int, places: list[int], is_symmetric: bool
    ) -> Self:
        """The form that to_json described. Raises TypeError for another dtype than numbers."""
        if np.dtype(dtype).kind not in NUMBERS:
            raise TypeError(f"dtype {dtype}")
        return cls(dtype, tuple(shape), common, tuple(places), is_symmetric)

    def to_json(self) -> list[Any]:
        """The arguments of from_json."""
        return [self.dtype, list(self.shape), self.common, list(self.places), self.is_symmetric]

    def shorten(self, array: AnyArray) -> NDArray[np.uint8]:
        """The bytes of the array that is of this form."""
        array = array.astype(self.dtype, copy=False)
        flat = np.ascontiguousarray(array[_triangle(array)] if self.is_symmetric else array).reshape(-1)
        numbers = flat.view(np.uint8).reshape(flat.size, flat.itemsize)
        return np.ascontiguousarray(numbers[:, self.places]).reshape(-1)

    def lengthen(self, buffer: bytes, offset: int) -> AnyArray:
        """The array, read-only, from its bytes in a buffer. Raises ValueError if there are too few."""
        n = int(np.prod(self.shape, dtype=np.int64))
        if self.is_symmetric:
            n = self.shape[0] * (self.shape[0] + 1) // 2
        stored = np.frombuffer(buffer, np.uint8, n * len(self.places), offset).reshape(n, len(self.places))
        numbers = np.full(n, self.common, f"<u{np.dtype(self.dtype).itemsize}")
        numbers.view(np.uint8).reshape(n, numbers.itemsize)[:, self.places] = stored
        numbers = numbers.view(self.dtype)
        array = self._both_halves(numbers) if self.is_symmetric else numbers.reshape(self.shape)
        array.setflags(write=False)
        return array

    def _both_halves(self, numbers: AnyArray) -> AnyArray:
        array = np.empty(self.shape, self.dtype)
        half = _triangle(array)
        array[half] = numbers
        array.T[half] = numbers
        return array


def _common(array: AnyArray) -> tuple[int, tuple[int, ...]]:
    """The bits of the bytes that all numbers share, and the places of the other bytes; at least one place."""
    bits = np.ascontiguousarray(array).reshape(-1).view(f"u{array.itemsize}")
    if not bits.size:
        return 0, (0,)
    first = int(bits[0])
    differ = int(np.bitwise_or.reduce(bits ^ bits[0]))
    places = tuple(i for i in range(array.itemsize) if differ >> 8 * i & 255) or (0,)
    return first & ~sum(255 << 8 * i for i in places), places


def _is_symmetric(array: AnyArray) -> bool:
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        return False
    bits = np.ascontiguousarray(array).view(f"u{array.itemsize}")
    return bool((bits == bits.T).all())


def _triangle(array: AnyArray) -> NDArray[np.bool_]:
    return np.tri(len(array), dtype=np.bool_)
