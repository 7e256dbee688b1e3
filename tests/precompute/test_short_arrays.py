"""Arrays without bytes that say nothing: each comes back bit for bit, and as short as is said."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from app.precompute.short_arrays import ArrayForm

DTYPES = arrays.boolean_dtypes() | arrays.integer_dtypes() | arrays.unsigned_integer_dtypes()
NUMBERS = DTYPES | arrays.floating_dtypes(endianness="?", sizes=(16, 32, 64))
ANY = arrays.arrays(NUMBERS, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6))


def round_trip(array):
    form = ArrayForm.of(array)
    stored = form.shorten(array)
    again = ArrayForm.from_json(*json.loads(json.dumps(form.to_json())))
    return stored, again.lengthen(b"before" + stored.tobytes() + b"after", len(b"before"))


def assert_same_bits(read, array):
    assert read.shape == array.shape
    assert read.dtype == array.dtype.newbyteorder("<")
    assert read.tobytes() == array.astype(read.dtype).tobytes()
    assert not read.flags.writeable


@given(ANY)
def test_any_array_comes_back_bit_for_bit(array):
    stored, read = round_trip(array)
    assert_same_bits(read, array)
    assert stored.nbytes <= array.nbytes


@given(arrays.arrays(NUMBERS, st.integers(0, 7).map(lambda n: (n, n))))
def test_half_of_a_symmetric_matrix_is_stored(square):
    n = len(square)
    matrix = np.where(np.tri(n, dtype=bool), square, square.T)
    stored, read = round_trip(matrix)
    assert_same_bits(read, matrix)
    assert stored.nbytes <= n * (n + 1) // 2 * matrix.itemsize


def test_zeros_of_two_signs_are_not_symmetric():
    matrix = np.array([[1.0, 0.0], [-0.0, 1.0]])
    stored, read = round_trip(matrix)
    assert_same_bits(read, matrix)
    assert stored.nbytes == 4 * 2  # of each number two bytes have bits


@pytest.mark.parametrize(
    ("dtype", "number", "n_bytes"),
    [
        ("<i8", 0, 1),
        ("<i8", 255, 1),
        ("<i8", 256, 1),
        ("<i8", 2**24 - 1, 3),
        (">i8", 2**48 + 1, 2),
        ("<i8", 2**63 - 1, 8),
        ("<u8", 2**64 - 1, 8),
        ("<i4", 127, 1),
        ("|u1", 255, 1),
        ("<i8", 3 << 32 | 7, 2),
        ("<i8", -(2**63), 1),
        ("<f8", 0.5, 2),
        ("<f8", 0.1, 8),
    ],
)
def test_numbers_take_the_bytes_in_which_any_two_differ(dtype, number, n_bytes):
    array = np.array([0, number, 0], dtype)
    stored, read = round_trip(array)
    assert stored.nbytes == 3 * n_bytes
    assert_same_bits(read, array)


@pytest.mark.parametrize(
    ("numbers", "n_bytes"), [([-1, 3], 8), ([-1, -3], 1), ([7, 7], 1), ([2**62 + 1, 2**62 + 300], 2)]
)
def test_bytes_that_all_numbers_share_are_stored_once(numbers, n_bytes):
    array = np.array(numbers, np.int64)
    stored, read = round_trip(array)
    assert stored.nbytes == 2 * n_bytes
    assert_same_bits(read, array)


def test_too_few_bytes_are_refused():
    form = ArrayForm.of(np.arange(300))
    with pytest.raises(ValueError, match="buffer is smaller than requested size"):
        form.lengthen(b"x" * 599, 0)
