"""What numpy makes of a layer's attention patterns, batch by batch: the reference of the accumulators."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from app.attribution.attention import OpenAttention, open_attention, pictures, strongest_sources
from app.domain.attention import fewest_destinations
from app.statistics.alike_texts import text_keys
from app.statistics.arrays import Ints
from app.statistics.attention_partial import AttentionBatch, AttentionPartial
from app.statistics.payloads import Payloads
from app.statistics.token_mass import TokenMass


@dataclass(frozen=True, eq=False)
class Text:
    """Consecutive sequences of the corpus: their tokens and which positions count."""

    first_sequence: int
    tokens: NDArray[np.int64]
    counted: NDArray[np.bool_]


def folded(partial: AttentionPartial, pattern: torch.Tensor, text: Text) -> AttentionPartial:
    """The partial with one more batch, and with payloads of the destinations kept from it."""
    n = text.tokens.shape[1]
    attention = open_attention(pattern, torch.from_numpy(text.counted), fewest_destinations(n))
    partial = partial.update(_batch(attention, text))

    def places(token_index: Ints) -> tuple[Ints, Ints]:
        return np.divmod(token_index - text.first_sequence * n, n)

    head, token_index = partial.without_payload()
    sequence, dest = places(token_index)
    strongest = strongest_sources(pattern[sequence, head, dest], attention.sink[sequence, head])
    columns = {name: getattr(strongest, name).numpy() for name in ("weight", "rest", "sink")}
    columns["source"] = strongest.source.numpy().astype(np.int16)
    payloads = Payloads.of(head, token_index, columns) if len(head) else Payloads.empty()

    head, token_index = partial.without_picture()
    sequence, dest = places(token_index)
    drawn = pictures(pattern, *map(torch.from_numpy, (sequence, head, dest))).numpy()
    picture = Payloads.of(head, token_index, {"picture": drawn}) if len(head) else Payloads.empty()
    return partial.with_payloads(payloads, picture)


def _batch(attention: OpenAttention, text: Text) -> AttentionBatch:
    tokens, counted = text.tokens, text.counted
    attended = counted[:, ::-1].cumsum(axis=1)[:, ::-1] > 0
    largest, sent, received, is_sink = (
        part.numpy().transpose(0, 2, 1)  # [sequence position heads]
        for part in (attention.largest, attention.sent, attention.received, attention.sink)
    )
    in_sinks, n_heads = received * is_sink, largest.shape[2]
    ranked = largest * (np.arange(largest.shape[1]) >= fewest_destinations(largest.shape[1]))[:, None]
    sequence, position, head = np.nonzero(ranked)
    some_sink = is_sink.any(axis=2)

    def ones(chosen: NDArray[np.bool_]) -> Ints:
        return np.ones((int(chosen.sum()), n_heads), dtype=np.int64)

    return AttentionBatch(
        n_destinations=int(counted.sum()),
        head=head,
        token_index=text.first_sequence * tokens.shape[1] + sequence * tokens.shape[1] + position,
        text=text_keys(tokens)[sequence, position],
        weight=np.ascontiguousarray(ranked[sequence, position, head]),
        sink_mass=in_sinks.sum(axis=(0, 1)),
        first_sink_mass=in_sinks[:, 0].sum(axis=0),
        distance=attention.distance.numpy(),
        read_from=TokenMass.of(tokens[counted], ones(counted), sent[counted]),
        read=TokenMass.of(tokens[attended], ones(attended), (received - in_sinks)[attended]),
        sinks=TokenMass.of(tokens[some_sink], is_sink[some_sink], in_sinks[some_sink]),
    )


def assert_same_to_rounding(
    partial: AttentionPartial, expected: AttentionPartial, rounding: float = 1e-12
) -> None:
    """What is counted and kept is the same; each sum differs by at most `rounding` of the largest of its kind."""
    mine, theirs = partial.to_arrays(), expected.to_arrays()
    assert mine.keys() == theirs.keys()
    for name, array in theirs.items():
        assert (mine[name].dtype, mine[name].shape) == (array.dtype, array.shape), name
        if array.dtype == np.float64:
            scale = float(np.abs(array).max(initial=0))
            np.testing.assert_allclose(mine[name], array, rtol=0, atol=rounding * scale, err_msg=name)
        else:
            np.testing.assert_array_equal(mine[name], array, err_msg=name)
