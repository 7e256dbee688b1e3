"""Blocks of arrays: round trip, fixed bytes, an independent reader, and every kind of damage."""

import hashlib
import json
import struct
import zlib

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import InvalidStore
from app.store.atlas import blobs
from app.store.atlas.blobs import MAGIC, MAX_UNPACKED, OLDER_MAGIC, pack, unpack
from app.store.atlas.known_text import KNOWN_TEXT

DTYPES = ["?", "i1", "u1", "<i2", ">i4", "<i8", "<u4", "<f2", ">f4", "<f8"]
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
SAMPLE = {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "b": np.array([0.5, -1.0], np.float32)}


@given(st.dictionaries(st.text(max_size=8), ARRAYS, max_size=4))
@settings(max_examples=150, deadline=None)
def test_round_trip(arrays):
    found = unpack(pack(arrays))
    assert sorted(found) == sorted(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype.newbyteorder("<")
        assert found[name].shape == array.shape
        # Bit for bit, so that NaN payloads and signed zeros count too.
        assert found[name].tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()


def test_arrays_are_read_by_the_beginning_of_their_names():
    blob = pack({"b.x": SAMPLE["a"], "a": SAMPLE["b"], "b.y": SAMPLE["b"], "c": SAMPLE["a"]})
    found = unpack(blob, "b.")
    assert list(found) == ["b.x", "b.y"]
    assert all(np.array_equal(found[name], unpack(blob)[name]) for name in found)
    assert unpack(blob, "d") == {}


def test_the_order_of_names_and_the_memory_layout_do_not_matter():
    other = {"b": SAMPLE["b"], "a": np.asfortranarray(SAMPLE["a"])}
    assert pack(other) == pack(SAMPLE)


def read_by_hand(blob):
    """The documented layout, read without the code under test."""
    magic, length = struct.unpack("<4sI", blob[:8])
    body = zlib.decompressobj(zdict=KNOWN_TEXT).decompress(blob[8:])
    assert (magic, length) == (b"HAb2", len(body))
    (n,) = struct.unpack("<I", body[:4])
    at, found = 4 + n, {}
    for name, dtype, shape in json.loads(body[4 : 4 + n]):
        size, count = np.dtype(dtype).itemsize, int(np.prod(shape))
        elements = [body[at + i : at + size * count : count] for i in range(count)]
        found[name] = np.frombuffer(b"".join(elements), dtype).reshape(shape)
        at += size * count
    assert at == len(body)
    return found


def test_an_independent_reader_finds_the_same():
    for name, array in read_by_hand(pack(SAMPLE)).items():
        np.testing.assert_array_equal(array, SAMPLE[name], strict=True)


def test_blocks_of_older_stores_are_read():
    header = json.dumps([["a", "<i4", [2, 3]], ["b", "<f4", [2]]], separators=(",", ":")).encode()
    body = struct.pack("<I", len(header)) + header + SAMPLE["a"].tobytes() + SAMPLE["b"].tobytes()
    found = unpack(b"HAb1" + struct.pack("<I", len(body)) + zlib.compress(body, 1))
    for name, array in SAMPLE.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_the_preset_dictionary_is_that_of_stores_out_there():
    assert hashlib.sha256(KNOWN_TEXT).hexdigest()[:16] == "52278cc04e751f83"


def test_every_flipped_bit_is_noticed():
    blob = pack(SAMPLE)
    harmless = 0
    for position in range(len(blob) * 8):
        damaged = bytearray(blob)
        damaged[position // 8] ^= 1 << position % 8
        try:
            found = unpack(bytes(damaged))
        except InvalidStore:
            continue
        # A few bits of the compressed form carry nothing, or name an earlier copy of the same bytes.
        assert {k: v.tobytes() for k, v in found.items()} == {k: v.tobytes() for k, v in SAMPLE.items()}
        harmless += 1
    assert harmless <= 16


def test_every_truncation_and_extension_is_noticed():
    blob = pack(SAMPLE)
    for damaged in [blob[:n] for n in range(len(blob))] + [blob + b"\0"]:
        with pytest.raises(InvalidStore):
            unpack(damaged)


def block(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = struct.pack("<I", len(text)) + text + data
    stream = zlib.compressobj(zdict=KNOWN_TEXT)
    packed = stream.compress(body) + stream.flush()
    return MAGIC + struct.pack("<I", len(body) if length is None else length) + packed


@pytest.mark.parametrize(
    "blob",
    [
        block([["a", "|O", [1]]], b"12345678"),
        block([["a", "<i4", [-1]]], b"12345678"),
        block([["a", "<i4", [3]]], b"12345678"),
        block([["a", "<i4", [1]]], b"12345678"),
        block([["a", "<i4", [2**70]]], b"12345678"),
        block([["a", "<i4", ["2"]]], b"12345678"),
        block([["a", ["<i4"], [2]]], b"12345678"),
        block([["a", "<i4"]], b"12345678"),
        block(7),
        block(b"{"),
        block(b"\xff\xfe"),
        block(b"[" * 5000),
        block([], length=MAX_UNPACKED + 1),
        OLDER_MAGIC + struct.pack("<I", 100) + zlib.compress(bytes(10**7)),
        OLDER_MAGIC + struct.pack("<I", 2) + zlib.compress(b"ab"),
        MAGIC + struct.pack("<I", 2) + zlib.compress(b"ab"),  # without the preset dictionary
        b"",
        b"PK\x03\x04",
    ],
)
def test_a_foreign_or_crafted_block_is_one_sentence(blob):
    with pytest.raises(InvalidStore) as caught:
        unpack(blob)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "array", [np.array(["text"]), np.array([None]), np.array([1j]), np.array(["2026-01-01"], "M8[D]")]
)
def test_only_plain_numbers_are_packed(array):
    with pytest.raises(TypeError, match="'a'"):
        pack({"a": array})


def test_more_than_the_guard_allows_is_not_packed(monkeypatch):
    monkeypatch.setattr(blobs, "MAX_UNPACKED", 1000)
    with pytest.raises(ValueError, match="1000"):
        pack({"a": np.zeros(1000)})
