"""What is largest and true in each row, against slow loops, by numpy and by torch."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from app.attribution.rows import (
    at_least,
    count_true,
    first_largest,
    kth_largest,
    largest_of_rows,
    places_of_true,
    smallest_of_rows,
    sorted_rows,
)

Ends = Callable[..., tuple[Tensor, Tensor]]


def rows_of(n_values: int, dtype: torch.dtype) -> Tensor:
    """Six rows of 40 values with many ties; the first is mostly -inf."""
    values = torch.randint(0, n_values, (6, 40), generator=torch.Generator().manual_seed(n_values))
    values = (values - n_values // 2).to(dtype)
    values[0, :30] = -torch.inf
    return values


@pytest.mark.parametrize("n_values", [1, 2, 5, 1000])
@pytest.mark.parametrize("k", [0, 1, 7, 40])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("ends", "sign"), [(largest_of_rows, -1), (smallest_of_rows, 1)])
@pytest.mark.parametrize("bounded", [False, True])
def test_the_ends_of_rows_are_the_slow_loop(
    n_values: int, k: int, dtype: torch.dtype, ends: Ends, sign: int, bounded: bool
) -> None:
    values = rows_of(n_values, dtype)
    bound = values.sort(1, descending=sign < 0).values[:, k - 1] if bounded and k else None
    column, value = ends(values, k, bound)
    for row in range(6):
        best = sorted(range(40), key=lambda c: (sign * values[row, c].item(), c))[:k]
        assert column[row].tolist() == best
        assert value[row].tolist() == values[row, best].tolist()


@pytest.mark.parametrize("n_columns", [20, 63, 64, 65, 1000, 5003])
@pytest.mark.parametrize(("ends", "sign"), [(largest_of_rows, -1), (smallest_of_rows, 1)])
def test_the_ends_of_long_rows_are_found_in_any_group(n_columns: int, ends: Ends, sign: int) -> None:
    generator = torch.Generator().manual_seed(n_columns)
    values = torch.randint(-40, 40, (9, n_columns), generator=generator).float()  # ties
    values[1::2] = torch.randn(4, n_columns, generator=generator)
    values[2] = sign * -torch.arange(n_columns)  # all of the ends in the last columns, in one group or none
    column, _ = ends(values, 4)
    for row in range(9):
        slow = sorted(range(n_columns), key=lambda c: (sign * values[row, c].item(), c))[:4]
        assert column[row].tolist() == slow


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_of_equals_the_first_is_the_first_largest(dtype: torch.dtype) -> None:
    values = rows_of(3, dtype).view(2, 3, 40)
    by_hand = [[row.index(max(row)) for row in part] for part in values.tolist()]
    assert first_largest(values).tolist() == by_hand
    assert first_largest(torch.tensor([-0.0, 0.0, -1.0], dtype=dtype)).item() == 0


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


@pytest.mark.parametrize("n_columns", [3, 4000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("ends", [largest_of_rows, smallest_of_rows])
def test_a_nan_among_the_first_is_refused(ends: Ends, dtype: torch.dtype, n_columns: int) -> None:
    values = torch.arange(n_columns, dtype=dtype)[None]
    values[0, 1] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        ends(values, 2)
