"""Bins on the device are those of numpy, where an edge lies in the middle between two bin edges too."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from app.accumulators.bins import CountedBins, first_inner_bin
from app.statistics.activation_bins import BinCounts, interval_bins

# A fifth of the second and third is the middle of a bin: 1.125, 0.6875.
MAXIMA = np.array([0, 5.625, 3.4375, 1e-45, 1.1754944e-38, 1, 9, 3.4e38], dtype=np.float32)


def first_bins(maxima: np.ndarray) -> list[int]:
    return first_inner_bin(torch.from_numpy(maxima).view(torch.int32)).tolist()


def test_the_first_inner_edge_is_that_of_numpy():
    assert first_bins(MAXIMA) == interval_bins(MAXIMA)[:, 1].tolist()


@given(st.lists(st.floats(0, 2.0**127, width=32), min_size=1))
def test_so_it_is_for_any_maximum(drawn):
    maxima = np.array(drawn, dtype=np.float32)
    assert first_bins(maxima) == interval_bins(maxima)[:, 1].tolist()


@given(st.lists(st.lists(st.integers(0, 5)), max_size=4))
def test_counts_are_those_of_a_loop(drawn):
    counted = CountedBins.empty(torch.device("cpu"))
    for units in drawn:
        counted = counted.add(torch.tensor(units, dtype=torch.int64))
    everything = [unit for units in drawn for unit in units]
    unit = np.array(sorted(set(everything)), dtype=np.int64)
    n = np.array([everything.count(each) for each in unit], dtype=np.int64)
    assert counted.bin_counts() == BinCounts(unit, n)
