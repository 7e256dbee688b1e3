"""What is largest and true in each row, against slow loops, by numpy and by torch."""

import pytest
import torch
from torch import Tensor

from app.attribution.rows import (
    at_least,
    count_true,
    kth_largest,
    largest_of_rows,
    places_of_true,
    sorted_rows,
)


def rows_of(n_values: int, dtype: torch.dtype) -> Tensor:
    """Six rows of 40 values with many ties; the first is mostly -inf."""
    values = torch.randint(0, n_values, (6, 40), generator=torch.Generator().manual_seed(n_values))
    values = (values - n_values // 2).to(dtype)
    values[0, :30] = -torch.inf
    return values


@pytest.mark.parametrize("n_values", [1, 2, 5, 1000])
@pytest.mark.parametrize("k", [0, 1, 7, 40])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_largest_of_rows_are_the_slow_loop(n_values: int, k: int, dtype: torch.dtype) -> None:
    values = rows_of(n_values, dtype)
    column, value = largest_of_rows(values, k)
    for row in range(6):
        best = sorted(range(40), key=lambda c: (-values[row, c].item(), c))[:k]
        assert column[row].tolist() == best
        assert value[row].tolist() == values[row, best].tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("k", [1, 7, 40])
def test_rows_are_ordered_as_a_slow_loop_orders_them(k: int, dtype: torch.dtype) -> None:
    values = rows_of(9, dtype)
    by_hand = [sorted(row) for row in values.tolist()]
    assert sorted_rows(values).tolist() == by_hand
    assert kth_largest(values, k).tolist() == [row[-k] for row in by_hand]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_true_places_are_counted_and_found_row_by_row(dtype: torch.dtype) -> None:
    values = rows_of(9, dtype)
    mask = at_least(values, kth_largest(values, 7))
    by_hand = [(i, j) for i in range(6) for j in range(40) if values[i, j] >= sorted(values[i].tolist())[-7]]
    row, column = places_of_true(mask)
    assert list(zip(row.tolist(), column.tolist(), strict=True)) == by_hand
    assert count_true(mask).tolist() == [sum(place[0] == i for place in by_hand) for i in range(6)]


def test_nothing_is_true_in_rows_without_columns() -> None:
    mask = torch.zeros((3, 0), dtype=torch.bool)
    assert count_true(mask).tolist() == [0, 0, 0]
    assert [len(part) for part in places_of_true(mask)] == [0, 0]


def test_a_nan_among_the_largest_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        largest_of_rows(torch.tensor([[1.0, torch.nan, 0.0]]), 2)
