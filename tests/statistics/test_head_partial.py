"""Head scores are means over counted positions of all sequences, however they were batched."""

import itertools
from functools import reduce

import numpy as np
import pytest

from app.statistics.head_partial import SCORE_NAMES, HeadScoreBatch, HeadScorePartial, ScoreSums
from app.statistics.leaves import OverlappingShards, Shards
from app.statistics.partial import Partial
from tests.support.partial_batches import assert_same

N_LAYERS, N_HEADS = 2, 3


def sums(seed: int, n_sequences: int) -> ScoreSums:
    random = np.random.default_rng(seed)
    total = random.uniform(0, 9, (n_sequences, N_LAYERS, N_HEADS)).astype(np.float32)
    return ScoreSums(total, random.integers(1, 9, n_sequences))


def batch(seed: int, n_sequences: int = 4) -> HeadScoreBatch:
    return HeadScoreBatch(**{name: sums(seed * 10 + i, n_sequences) for i, name in enumerate(SCORE_NAMES)})


def empty(*shards: int) -> HeadScorePartial:
    return HeadScorePartial.empty("plan", N_LAYERS, N_HEADS, Shards.of(*shards))


def test_scores_equal_a_slow_loop():
    batches = [batch(0), batch(1, 2)]
    scores = reduce(HeadScorePartial.update, batches, empty()).scores()
    assert tuple(scores) == SCORE_NAMES
    for name, layer, head in itertools.product(SCORE_NAMES, range(N_LAYERS), range(N_HEADS)):
        total, n = 0.0, 0
        for each in batches:
            score = getattr(each, name)
            for s in range(len(score.n)):
                total += float(score.total[s, layer, head])
                n += int(score.n[s])
        assert scores[name][layer, head] == pytest.approx(total / n)


def test_any_order_and_bracketing():
    partials = [empty(i).update(batch(i, i)) for i in range(4)]
    expected = reduce(Partial.merge, partials)
    for a, b, c, d in itertools.permutations(partials):
        assert_same(a.merge(b).merge(c.merge(d)), expected)
    assert expected.merge(empty()) == empty().merge(expected) == expected
    with pytest.raises(OverlappingShards):
        expected.merge(partials[2])


def test_scores_that_were_not_measured_are_left_out():
    partial = empty().update(HeadScoreBatch(induction=sums(0, 2)))
    assert list(partial.scores()) == ["induction"]
    assert empty().scores() == {}


def test_load_of_save_is_the_same():
    partial = empty(4).update(batch(0))
    assert HeadScorePartial.from_arrays(partial.to_arrays()) == partial


def test_wrong_batches_are_refused():
    total = np.zeros((2, N_LAYERS, N_HEADS))
    with pytest.raises(ValueError, match="induction"):
        empty().update(HeadScoreBatch(induction=ScoreSums(total, np.array([1]))))
    with pytest.raises(ValueError, match="induction"):
        empty().update(HeadScoreBatch(induction=ScoreSums(total, np.array([1, -1]))))
    with pytest.raises(ValueError, match="finite"):
        empty().update(HeadScoreBatch(induction=ScoreSums(total * np.nan, np.array([1, 1]))))
    with pytest.raises(ValueError, match="shape"):
        empty().update(HeadScoreBatch(induction=ScoreSums(total[:, :1], np.array([1, 1]))))
