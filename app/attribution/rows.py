"""What is largest, and what is true, in each row of a matrix.

On the CPU numpy finds it, whose sorting and counting use vector instructions: a third to a tenth of torch's time.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

_MOST_IN_GROUP, _GROUPS_PER_PLACE = 128, 8


def sorted_rows(values: Float[Tensor, "row column"]) -> Float[Tensor, "row column"]:
    """Each row's values, ascending; NaNs come last."""
    if not _numpy_has(values):
        return values.sort(dim=1).values
    return torch.from_numpy(np.sort(values.detach().numpy(), axis=1))


def kth_largest(values: Float[Tensor, "row column"], k: int) -> Float[Tensor, " row"]:
    """The k-th largest value of each row, 1 <= k <= columns."""
    if not _numpy_has(values):
        return values.topk(k, dim=1, sorted=False).values.amin(dim=1)
    place = values.shape[1] - k
    # A copy of one column, so that the partitioned rows are free.
    return torch.from_numpy(np.partition(values.detach().numpy(), place, axis=1)[:, place].copy())


def first_largest(values: Float[Tensor, "*row column"]) -> Int64[Tensor, "*row"]:
    """The first column with the largest value of each row."""
    if not _numpy_has(values):
        return values.argmax(dim=-1)
    return torch.from_numpy(np.asarray(values.detach().numpy().argmax(axis=-1)))


def largest_of_rows(
    values: Float[Tensor, "row column"], k: int, bound: Float[Tensor, " row"] | None = None
) -> tuple[Int64[Tensor, "row k"], Float[Tensor, "row k"]]:
    """The columns of the k largest values of each row and these values, largest first, then the lower column.

    bound: of each row a number that at least k of its values reach, where one is known; few should. Raises ValueError
    if a NaN is among the largest.
    """
    if not k:
        return _none_of(values)
    if bound is None:
        bound = kth_largest(values, k) if not _numpy_has(values) else _bound_of_largest(values, k)
    return _in_order(values, at_least(values, bound), k, descending=True)


def smallest_of_rows(
    values: Float[Tensor, "row column"], k: int, bound: Float[Tensor, " row"] | None = None
) -> tuple[Int64[Tensor, "row k"], Float[Tensor, "row k"]]:
    """Likewise of the k smallest values, smallest first. bound: what at least k values of a row do not exceed."""
    if not k:
        return _none_of(values)
    if bound is None:
        bound = -kth_largest(-values, k) if not _numpy_has(values) else _bound_of_smallest(values, k)
    return _in_order(values, at_most(values, bound), k, descending=False)


def at_least(values: Float[Tensor, "row column"], least: Float[Tensor, " row"]) -> Bool[Tensor, "row column"]:
    """Where a row has what is not less than its least."""
    if not _numpy_has(values):
        return values >= least[:, None]
    return torch.from_numpy(values.detach().numpy() >= least.detach().numpy()[:, None])


def at_most(values: Float[Tensor, "row column"], most: Float[Tensor, " row"]) -> Bool[Tensor, "row column"]:
    """Where a row has what is not greater than its most."""
    if not _numpy_has(values):
        return values <= most[:, None]
    return torch.from_numpy(values.detach().numpy() <= most.detach().numpy()[:, None])


def count_true(mask: Bool[Tensor, "row column"]) -> Int64[Tensor, " row"]:
    """How many places of each row are true."""
    if not _numpy_has(mask):
        return mask.sum(dim=1)
    return torch.from_numpy(np.count_nonzero(mask.numpy(), axis=1))


def places_of_true(
    mask: Bool[Tensor, "row column"],
) -> tuple[Int64[Tensor, " place"], Int64[Tensor, " place"]]:
    """The row and the column of each true place, row by row."""
    if not _numpy_has(mask):
        row, column = mask.nonzero(as_tuple=True)
        return row, column
    row, column = np.divmod(np.flatnonzero(mask.numpy()), max(mask.shape[1], 1))
    return torch.from_numpy(row), torch.from_numpy(column)


def _numpy_has(values: Tensor) -> bool:
    return values.device.type == "cpu" and values.dtype != torch.bfloat16


def _none_of(values: Float[Tensor, "row column"]) -> tuple[Int64[Tensor, "row 0"], Float[Tensor, "row 0"]]:
    column = torch.zeros((len(values), 0), dtype=torch.int64, device=values.device)
    return column, values.gather(1, column)


def _in_order(
    values: Float[Tensor, "row column"], candidates: Bool[Tensor, "row column"], k: int, descending: bool
) -> tuple[Int64[Tensor, "row k"], Float[Tensor, "row k"]]:
    """The first k of each row's candidates by size, then by column, and their values."""
    row, column = places_of_true(candidates)
    n = torch.bincount(row, minlength=len(values))
    if (n < k).any():
        raise ValueError("a NaN is among the first values of a row")
    value = values[row, column]
    # Stable, so that what is equal stays in the order of columns, and then of values.
    by_value = value.sort(descending=descending, stable=True).indices
    order = by_value[row[by_value].sort(stable=True).indices]
    first = (n.cumsum(0) - n)[:, None] + torch.arange(k, device=n.device)
    return column[order[first]], value[order[first]]


def _bound_of_largest(values: Float[Tensor, "row column"], k: int) -> Float[Tensor, " row"]:
    """What k values of each row reach, and hardly more: the k-th largest of the largest values of many groups."""
    return kth_largest(_of_groups(values, k, np.maximum), k)


def _bound_of_smallest(values: Float[Tensor, "row column"], k: int) -> Float[Tensor, " row"]:
    return -kth_largest(-_of_groups(values, k, np.minimum), k)


def _of_groups(values: Float[Tensor, "row column"], k: int, extreme: np.ufunc) -> Float[Tensor, "row group"]:
    """The largest or smallest value of each of several times k groups of columns, as far as there are so many.

    Raises ValueError if there is a NaN.
    """
    rows = values.detach().numpy()
    size = max(1, min(_MOST_IN_GROUP, rows.shape[1] // (_GROUPS_PER_PLACE * k)))
    whole = rows.shape[1] // size * size
    of_groups = extreme.reduce(rows[:, :whole].reshape(len(rows), size, -1), axis=1)
    found = np.concatenate([of_groups, rows[:, whole:]], axis=1)
    if np.isnan(found).any():
        raise ValueError("a NaN is among the first values of a row")
    return torch.from_numpy(found)
