"""The largest values of each row, and of equal ones those that come first."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def largest_of_rows(
    values: Float[Tensor, "row column"], k: int
) -> tuple[Int64[Tensor, "row k"], Float[Tensor, "row k"]]:
    """The columns of the k largest values of each row and these values, largest first, then the lower column.

    topk may keep any of the columns that tie for the last place, so rows with such a tie choose again by column.
    """
    value, column = values.topk(k, dim=1)
    if not k:
        return column, value
    last = value[:, -1:]
    n_tied, n_places = (values == last).sum(dim=1), (value == last).sum(dim=1)
    for row in (n_tied > n_places).nonzero().flatten().tolist():
        tied = (values[row] == last[row]).nonzero().flatten()
        column[row, k - int(n_places[row]) :] = tied[: int(n_places[row])]
    column = column.sort(dim=1).values
    by_value = torch.sort(values.gather(1, column), dim=1, descending=True, stable=True)
    return column.gather(1, by_value.indices), by_value.values
