"""Sinks, sources and distances against a slow loop over patterns."""

import numpy as np
import pytest
import torch

from app.attribution.attention import open_attention, pictures, strongest_sources
from app.domain.attention import PICTURE_COLUMNS, PICTURE_ROWS, SINK_ATTENTION, fewest_destinations

N_SEQUENCES, N_HEADS, N = 3, 4, 14
FEWEST = 4


def random_patterns(seed: int = 0, n: int = N) -> torch.Tensor:
    """Causal patterns; head 1 rests on position 0, head 2 on the third token, head 3 on both in turn."""
    logits = torch.randn(N_SEQUENCES, N_HEADS, n, n, generator=torch.Generator().manual_seed(seed))
    logits[:, 1, :, 0] += 4
    logits[:, 2, :, 3] += 5
    logits[:, 3, ::2, 0] += 4
    logits[:, 3, 1::2, 3] += 4
    return logits.masked_fill(torch.ones(n, n).triu(1).bool(), -torch.inf).softmax(-1)


def counted_positions(n: int = N) -> torch.Tensor:
    counted = torch.ones(N_SEQUENCES, n, dtype=torch.bool)
    counted[:, 0] = False
    counted[1, 10:] = False  # padding
    counted[2, 6] = False  # a separator
    return counted


def slow_sink(pattern: np.ndarray, counted: np.ndarray, source: int) -> bool:
    given = [pattern[d, source] for d in range(source + 1, len(pattern)) if counted[d]]
    return len(given) >= FEWEST and sum(map(float, given)) / len(given) > SINK_ATTENTION


@pytest.fixture(scope="module")
def slow() -> dict[str, np.ndarray]:
    pattern, counted = random_patterns().numpy(), counted_positions().numpy()
    shape = (N_SEQUENCES, N_HEADS, N)
    parts = {name: np.zeros(shape) for name in ("sink", "largest", "sent", "received")}
    parts["distance"] = np.zeros((N_HEADS, N))
    for s, h, source in np.ndindex(*shape):
        parts["sink"][s, h, source] = slow_sink(pattern[s, h], counted[s], source)
    for s, h, d, source in np.ndindex(*shape, N):
        if not counted[s, d] or source > d:
            continue
        weight = float(pattern[s, h, d, source])
        parts["received"][s, h, source] += weight
        if not parts["sink"][s, h, source]:
            parts["largest"][s, h, d] = max(parts["largest"][s, h, d], weight)
            parts["sent"][s, h, d] += weight
            parts["distance"][h, d - source] += weight
    return parts


@pytest.mark.parametrize("name", ["sink", "largest", "sent", "received", "distance"])
def test_every_part_equals_a_slow_loop(name: str, slow: dict[str, np.ndarray]):
    attention = open_attention(random_patterns(), counted_positions(), FEWEST)
    np.testing.assert_allclose(getattr(attention, name).numpy(), slow[name], rtol=1e-6, atol=1e-7)


def test_sinks_are_found_wherever_they_are(slow: dict[str, np.ndarray]):
    assert not slow["sink"][0, 0].any()
    assert slow["sink"][0, 1].nonzero()[0].tolist() == [0]
    assert slow["sink"][0, 2].nonzero()[0].tolist() == [3]
    assert slow["sink"][0, 3].nonzero()[0].tolist() == [0, 3]


def test_a_sink_needs_enough_later_destinations():
    assert [fewest_destinations(n) for n in (4, 24, 32, 128, 1024)] == [4, 4, 4, 16, 128]
    pattern = torch.zeros(1, 1, 8, 8)
    pattern[0, 0, :, 0] = 1
    pattern[0, 0, 5:, 0], pattern[0, 0, 5:, 4] = 0, 1  # position 4 takes all, but of three destinations
    counted = torch.tensor([[False] + [True] * 7])
    assert open_attention(pattern, counted, 4).sink[0, 0].nonzero().flatten().tolist() == [0]
    assert open_attention(pattern, counted, 3).sink[0, 0].nonzero().flatten().tolist() == [0, 4]


def test_a_head_on_the_previous_token_or_itself_has_no_sink():
    counted = counted_positions()[:1]
    for diagonal in (0, -1):
        pattern = torch.diag(torch.ones(N + diagonal), diagonal)
        assert not open_attention(pattern[None, None], counted, FEWEST).sink.any()


def test_strongest_sources_equal_a_slow_loop():
    rows = random_patterns()[:, :, 9:].flatten(0, 2)
    rows[:, 5] = rows[:, 4]  # ties
    rows[3] = 0
    is_sink = torch.rand(rows.shape, generator=torch.Generator().manual_seed(2)) < 0.3
    strongest = strongest_sources(rows, is_sink, 5)
    for i, row in enumerate(rows.tolist()):
        open_places = [s for s, weight in enumerate(row) if weight > 0 and not is_sink[i, s]]
        best = sorted(open_places, key=lambda s: (-row[s], s))[:5]
        assert [s for s in strongest.source[i].tolist() if s >= 0] == best
        np.testing.assert_array_equal(strongest.weight[i, : len(best)], np.float32([row[s] for s in best]))
        rest = sum(row[s] for s in open_places if s not in best)
        assert float(strongest.rest[i]) == pytest.approx(rest, abs=1e-6)
        total = float(strongest.weight[i].sum() + strongest.rest[i] + strongest.sink[i])
        assert total == pytest.approx(sum(row), abs=1e-6)
    short = strongest_sources(rows[:, :3], is_sink[:, :3], 5)
    assert (short.source[:, 3:] == -1).all()
    assert not short.weight[:, 3:].any()


@pytest.mark.parametrize("n", [N, PICTURE_COLUMNS + 5])
def test_pictures_are_the_patterns_before_their_destinations(n: int):
    pattern = random_patterns(1, n)
    sequence, head, dest = torch.tensor([0, 2, 1]), torch.tensor([3, 0, 2]), torch.tensor([n - 1, 9, 5])
    drawn = pictures(pattern, sequence, head, dest)
    n_rows, n_columns = min(n, PICTURE_ROWS), min(n, PICTURE_COLUMNS)
    assert drawn.shape == (3, n_rows, n_columns)
    for i, row, column in np.ndindex(*drawn.shape):
        d, source = int(dest[i]) - n_rows + 1 + row, int(dest[i]) - n_columns + 1 + column
        weight = float(pattern[sequence[i], head[i], d, source]) if d >= 0 and source >= 0 else 0.0
        assert abs(int(drawn[i, row, column]) - 255 * weight) <= 0.5001
