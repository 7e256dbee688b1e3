"""Counts, totals, means, shards, and the record that all leaves are."""

from dataclasses import dataclass

import numpy as np
import pytest

from app.statistics.arrays import Ints, Record, distinct, places, run_starts
from app.statistics.leaves import Count, Mean, OverlappingShards, Shards, Total


def test_counts_and_totals_add_up():
    assert Count.of([1, 2]).merge(Count.of([3, 4])) == Count.of([4, 6])
    assert Total.of([0.5, 2]).merge(Total.of([3, 4])) == Total.of([3.5, 6])
    assert Count.zeros(2).merge(Count.of([1, 2])) == Count.of([1, 2])
    assert Count.of(2).merge(Count.of(3)) == Count.of(5)
    assert Total.zeros().merge(Total.of(0.5)) == Total.of(0.5)


def test_a_count_holds_whole_numbers_only():
    with pytest.raises(TypeError):
        Count.of([0.5])
    with pytest.raises(TypeError, match="int64"):
        Count(np.zeros(2, dtype=np.int32))
    with pytest.raises(TypeError, match="float64"):
        Total(np.zeros(2, dtype=np.float32))
    with pytest.raises(ValueError, match="finite"):
        Total.of([np.inf])


def test_other_shapes_never_broadcast():
    with pytest.raises(ValueError, match="shape"):
        Count.zeros(2).merge(Count.zeros(1))
    with pytest.raises(ValueError, match="shape"):
        Total.zeros(2).merge(Total.zeros())


def test_a_float32_sum_would_stand_still_where_a_total_goes_on():
    total = Total.of(2.0**24)
    for _ in range(8):
        total = total.merge(Total.of(1.0))
    assert total.total == 2**24 + 8


def test_a_mean_weighs_its_parts_by_their_counts():
    a, b = Mean(Total.of([2.0, 4.0]), Count.of(2)), Mean(Total.of([9.0, 0.0]), Count.of(1))
    assert a.merge(b).value().tolist() == [11 / 3, 4 / 3]
    assert Mean.zeros(2).merge(a) == a
    with pytest.raises(ValueError, match="nothing"):
        Mean.zeros(2).value()


def test_shards_merge_once():
    merged = Shards.of(5, 1).merge(Shards.of(3))
    assert list(merged) == [1, 3, 5]
    assert 3 in merged
    assert 2 not in merged
    assert len(merged) == 3
    with pytest.raises(OverlappingShards, match=r"shard 1, 5$"):
        merged.merge(Shards.of(1, 4, 5))


@dataclass(frozen=True, eq=False)
class Everything(Record):
    plan: str
    k: int
    ids: Ints
    nested: Count
    columns: dict[str, np.ndarray]


def everything() -> Everything:
    columns = {"b.c": np.zeros((0, 2), np.float16), "a": np.ones(1, np.bool_)}
    return Everything("é", 3, np.arange(2), Count.of(7), columns)


def test_records_are_saved_by_field_and_loaded_again():
    arrays = everything().to_arrays()
    assert list(arrays) == ["plan", "k", "ids", "nested.total", "columns.a", "columns.b.c"]
    assert Everything.from_arrays(arrays) == everything()


@pytest.mark.parametrize("name", ["plan", "k", "ids", "nested.total"])
def test_a_missing_array_is_not_made_up(name):
    arrays = everything().to_arrays()
    del arrays[name]
    with pytest.raises(ValueError, match="missing"):
        Everything.from_arrays(arrays)


@pytest.mark.parametrize("name", ["other", "ids.more", "nested.other"])
def test_an_unknown_array_is_not_ignored(name):
    with pytest.raises(ValueError, match=r"no field|should not have"):
        Everything.from_arrays(everything().to_arrays() | {name: np.zeros(1)})


def test_records_are_equal_by_type_dtype_shape_and_value():
    assert Count.of([1]) != Count.of([2])
    assert Count.of([1]) != Count.of(1)
    assert Total.of([1]) != Count.of([1])
    assert Total(np.array([np.nan])) == Total(np.array([np.nan]))
    with pytest.raises(TypeError, match="unhashable"):
        hash(Count.of(1))


def test_sorted_array_helpers():
    assert run_starts(np.array([2, 2, 5, 5, 5, 9])).tolist() == [0, 2, 5]
    assert run_starts(np.array([], dtype=np.int64)).tolist() == []
    assert distinct(np.array([3, 1, 3])).tolist() == [1, 3]
    assert places(np.array([4, 1, 9, 2]), np.array([1, 4, 7])).tolist() == [1, 0, -1, -1]
    assert places(np.array([4]), np.array([], dtype=np.int64)).tolist() == [-1]
