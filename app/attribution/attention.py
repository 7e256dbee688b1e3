"""What heads attend to, from their patterns: sinks, and everything else once sinks are left out."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64, UInt8
from torch import Tensor

from app.attribution.float64 import beside_float64
from app.domain.attention import PICTURE_COLUMNS, PICTURE_LEVELS, PICTURE_ROWS, SINK_ATTENTION
from app.domain.records import N_SOURCES


@dataclass(frozen=True)
class OpenAttention:
    """A layer's attention of counted destinations, with sinks apart; open: on sources that are no sinks."""

    sink: Bool[Tensor, "sequence n_heads src"]
    largest: Float32[Tensor, "sequence n_heads dest"]  # open weight; 0 of a destination that does not count
    sent: Float64[Tensor, "sequence n_heads dest"]  # open weight of a destination, summed over sources
    received: Float64[Tensor, "sequence n_heads src"]  # all weight on a source, sink or not
    distance: Float64[Tensor, "n_heads context"]  # open weight by dest - src


@dataclass(frozen=True)
class StrongestSources:
    """The open sources with the largest weights of some destinations, and the sums over all other sources."""

    source: Int64[Tensor, "n sources"]  # -1 in unused slots
    weight: Float32[Tensor, "n sources"]
    rest: Float32[Tensor, " n"]  # open, but not among them
    sink: Float32[Tensor, " n"]


def open_attention(
    pattern: Float[Tensor, "sequence n_heads dest src"],
    counted: Bool[Tensor, "sequence dest"],
    fewest: int,
) -> OpenAttention:
    """Attention with sinks apart.

    A source is a sink of a head, in its sequence, if at least `fewest` later destinations count and give it more than
    SINK_ATTENTION on average. What it gives itself does not matter. This is decided within the sequence, so the order
    in which sequences are read changes nothing. Results are where float64 is.
    """
    pattern = beside_float64(pattern)
    counted = counted.to(pattern.device)
    weights = pattern.float() * counted[:, None, :, None]
    received = weights.sum(dim=2, dtype=torch.float64)
    n_later = counted.sum(dim=1, keepdim=True) - counted.cumsum(dim=1)
    from_later = received - weights.diagonal(dim1=2, dim2=3)
    is_sink = (from_later > SINK_ATTENTION * n_later[:, None].double()) & (n_later >= fewest)[:, None]
    weights.masked_fill_(is_sink[:, :, None, :], 0)
    return OpenAttention(
        sink=is_sink,
        largest=weights.amax(dim=3),
        sent=weights.sum(dim=3, dtype=torch.float64),
        received=received,
        distance=_by_distance(weights.sum(dim=0, dtype=torch.float64)),
    )


def _by_distance(weights: Float64[Tensor, "n_heads dest src"]) -> Float64[Tensor, "n_heads distance"]:
    """Sums of the diagonals, the main one first."""
    n = weights.shape[2]
    position = torch.arange(n, device=weights.device)
    source = position[:, None] - position  # of each destination, at each distance
    skewed = weights.gather(2, source.clamp(min=0).expand_as(weights))
    return (skewed * (source >= 0)).sum(dim=1)


def strongest_sources(
    rows: Float[Tensor, "n src"], is_sink: Bool[Tensor, "n src"], n_sources: int = N_SOURCES
) -> StrongestSources:
    """The largest open weights of each row, of equals the earlier source. Weights of 0 are none."""
    rows = beside_float64(rows)
    is_sink = is_sink.to(rows.device)
    open_rows = rows.float().masked_fill(is_sink, 0)
    ordered, place = open_rows.sort(dim=1, descending=True, stable=True)
    if (missing := n_sources - ordered.shape[1]) > 0:
        ordered, place = (torch.nn.functional.pad(part, (0, missing)) for part in (ordered, place))
    weight = ordered[:, :n_sources].contiguous()  # of its own: a view would keep all sources in memory
    sums = (part.sum(dim=1, dtype=torch.float64) for part in (ordered[:, n_sources:], rows.float() * is_sink))
    rest, sink = (part.float() for part in sums)
    return StrongestSources(place[:, :n_sources].masked_fill(weight == 0, -1), weight, rest, sink)


def pictures(
    pattern: Float[Tensor, "sequence n_heads dest src"],
    sequence: Int64[Tensor, " n"],
    head: Int64[Tensor, " n"],
    dest: Int64[Tensor, " n"],
) -> UInt8[Tensor, "n rows columns"]:
    """The patterns before these destinations, which are the last row and column of each; 0 before the text begins.

    A weight of 1 is PICTURE_LEVELS.
    """
    n = pattern.shape[3]
    row, column = (
        dest[:, None] - torch.arange(min(size, n) - 1, -1, -1, device=dest.device)
        for size in (PICTURE_ROWS, PICTURE_COLUMNS)
    )
    of_row, of_column = row.clamp(min=0)[:, :, None], column.clamp(min=0)[:, None, :]
    weights = pattern[sequence[:, None, None], head[:, None, None], of_row, of_column].float()
    inside = (row >= 0)[:, :, None] & (column >= 0)[:, None, :]
    return (weights * inside * PICTURE_LEVELS).round().clamp(0, PICTURE_LEVELS).to(torch.uint8)
