"""The payload table: keyed, sorted, with a fixed schema."""

import numpy as np
import pytest

from app.statistics.payloads import Payloads, payload_key


def table(*keys: tuple[int, int]) -> Payloads:
    feature, token_index = np.array(keys, dtype=np.int64).reshape(-1, 2).T
    value = (feature * 100 + token_index).astype(np.float32)
    return Payloads.of(feature, token_index, {"value": value, "row": np.stack([value, -value], 1)})


def test_rows_are_sorted_with_their_columns():
    payloads = table((2, 1), (0, 7), (2, 0))
    assert payloads.key.tolist() == payload_key(np.array([0, 2, 2]), np.array([7, 0, 1])).tolist()
    assert payloads.columns["value"].tolist() == [7, 200, 201]
    assert payloads.columns["row"].tolist() == [[7, -7], [200, -200], [201, -201]]


def test_merge_is_a_union():
    a, b = table((0, 1), (1, 1)), table((1, 1), (1, 2))
    assert a.merge(b) == b.merge(a) == table((0, 1), (1, 1), (1, 2))
    assert a.merge(a) == a
    assert a.merge(Payloads.empty()) == Payloads.empty().merge(a) == a


def test_joined_is_the_merge_of_tables_without_a_common_key():
    parts = [table((2, 1), (0, 7)), Payloads.empty(), table((0, 3)), table((1, 9), (2, 0))]
    merged = Payloads.empty()
    for part in parts:
        merged = merged.merge(part)
    assert Payloads.joined(parts) == merged
    assert Payloads.joined([]) == Payloads.joined([Payloads.empty()]) == Payloads.empty()
    with pytest.raises(ValueError, match="two payloads"):
        Payloads.joined([table((0, 1)), table((0, 1))])


def test_no_rows_keep_the_schema():
    none = table((0, 1)).restrict(np.array([], dtype=np.int64))
    assert len(none) == 0
    assert none.schema == table((0, 1)).schema
    assert none.merge(table((3, 3))) == table((3, 3))
    assert Payloads.empty().merge(none) == none


def test_other_columns_are_refused():
    other = Payloads.of(np.array([5]), np.array([5]), {"value": np.zeros(1, np.float64)})
    with pytest.raises(ValueError, match="columns"):
        table((0, 1)).merge(other)


def test_restrict_keeps_the_rows_asked_for():
    payloads = table((0, 1), (1, 5), (2, 9))
    keys = payload_key(np.array([0, 1, 2]), np.array([1, 4, 9]))
    assert payloads.restrict(keys) == table((0, 1), (2, 9))
    assert payloads.restrict(payloads.key) is payloads


def test_rows_come_in_the_order_asked_for():
    payloads = table((1, 5), (1, 2), (2, 5))
    assert payloads.rows(1, np.array([5, 2]))["value"].tolist() == [105, 102]
    assert payloads.of_feature(1) == table((1, 2), (1, 5))
    with pytest.raises(KeyError, match="feature 1 has no payload for token 3"):
        payloads.rows(1, np.array([2, 3]))


def test_a_repeated_key_or_a_short_column_is_refused():
    with pytest.raises(ValueError, match="two payloads"):
        table((1, 1), (1, 1))
    with pytest.raises(ValueError, match="value do not have 2 rows"):
        Payloads.of(np.array([0, 1]), np.array([0, 1]), {"value": np.zeros(3)})
