"""The long-prefix experiment on heads whose behaviour is known, and on random weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.domain.experiments.errors import InvalidExperiment
from app.domain.experiments.intervals import Interval, Resampling
from app.domain.refs import HeadRef
from app.experiments.corruption import Draws, corrupted_attention, long_examples
from app.experiments.long_prefix_induction import (
    LongPrefixParameters,
    LongPrefixResult,
    long_prefix_induction,
)
from app.experiments.natural_text import Text, attended_pairs, prefix_distribution
from app.experiments.progress import Batching
from app.experiments.repeated_prefixes import attention_by_prefix, repeated_prefixes
from tests.support.hand_built_model import (
    BOS,
    IDLE,
    LONG_PREFIX,
    N_CTX,
    PREVIOUS,
    STANDARD,
    HandBuiltModel,
    hand_built_model,
    random_model,
    repeating_text,
)

HEADS = [STANDARD, LONG_PREFIX, PREVIOUS, IDLE]
SMALL = LongPrefixParameters(
    max_prefix=4,
    n_examples=12,
    n_logit_examples=6,
    length=24,
    n_draws=3,
    n_shuffles=5,
    resampling=Resampling(300),
)


@pytest.fixture(scope="module")
def model() -> HandBuiltModel:
    return hand_built_model()


@pytest.fixture(scope="module")
def text(model: HandBuiltModel) -> Text:
    tokens = repeating_text(model)
    return Text(tokens, tokens != BOS)


@pytest.fixture(scope="module")
def result(model: HandBuiltModel, text: Text) -> LongPrefixResult:
    return long_prefix_induction(model, HEADS, text, SMALL)


def test_the_verdicts_are_those_that_were_built(result: LongPrefixResult) -> None:
    assert [head.verdict.kind for head in result.heads] == ["standard", "long-prefix", "neither", "neither"]
    assert [head.head for head in result.heads] == HEADS
    assert all("after corruption" in head.verdict.reason for head in result.heads[:2])


def test_attention_by_prefix_length_jumps_where_it_was_built_to(result: LongPrefixResult) -> None:
    standard, long_prefix = result.heads[0].attention_by_prefix, result.heads[1].attention_by_prefix
    assert len(standard) == SMALL.max_prefix + 1
    assert standard[0].mean < 0.01 < 0.9 < standard[1].mean
    assert long_prefix[1].mean < 0.01 < 0.9 < long_prefix[2].mean


def test_attribution_of_the_correct_token_follows_attention(result: LongPrefixResult) -> None:
    standard, long_prefix = result.heads[0].logit_by_prefix, result.heads[1].logit_by_prefix
    assert standard[0].mean < 0.1 < 1 < standard[1].lower
    assert abs(long_prefix[1].mean) < 0.1 < 0.5 < long_prefix[2].lower
    assert result.worst_logit_error < 1e-4
    assert result.correct_logit_by_prefix[2].mean > result.correct_logit_by_prefix[0].mean + 1


def test_corruption_silences_only_the_head_that_needs_two_tokens(result: LongPrefixResult) -> None:
    standard, long_prefix = (head.verdict for head in result.heads[:2])
    assert result.n_corrupted == standard.before.n == long_prefix.before.n >= 20
    assert standard.kept.lower > 0.95
    assert long_prefix.kept.upper < 0.05
    assert long_prefix.before.mean > 0.9


def test_label_shuffled_controls_show_nothing(result: LongPrefixResult) -> None:
    assert [head.control for head in result.heads] == [0.0] * 4


def test_natural_pairs_are_all_found_with_their_prefix_lengths(
    model: HandBuiltModel, text: Text, result: LongPrefixResult
) -> None:
    """A slow count over the built repeats: spans of 1, 2 and 3 tokens give prefixes 1; 1, 2; and 1, 2, 3."""
    n = len(text.tokens)
    at_half = {head.head: head.natural[4] for head in result.heads}
    assert at_half[STANDARD].exact == (0, 3 * n, 2 * n, n, 0)
    assert at_half[STANDARD].fuzzy == at_half[STANDARD].exact
    assert at_half[LONG_PREFIX].exact == (0, 0, 2 * n, n, 0)
    assert at_half[STANDARD].long_share.mean == pytest.approx(0.5)
    assert at_half[LONG_PREFIX].long_share.mean == 1
    assert at_half[PREVIOUS].induction_share.mean == 0
    assert at_half[PREVIOUS].long_share is None
    assert at_half[IDLE].n_pairs == 0
    assert [distribution.threshold for distribution in result.heads[0].natural] == list(SMALL.sweep)


def test_pairs_are_those_of_a_slow_loop(text: Text) -> None:
    random = random_model(3)
    head, threshold = HeadRef(1, 1), 0.08
    pairs = attended_pairs(random, text, [head], threshold, Batching(5))[head]
    pattern = random.patterns(torch.from_numpy(text.tokens))[1][:, 1].double().numpy()
    expected = [
        (row, dest, source)
        for row, dest, source in np.ndindex(pattern.shape)
        if pattern[row, dest, source] > threshold and source > 0 and dest > 0
    ]
    assert list(zip(pairs.sequence, pairs.dest, pairs.source, strict=True)) == expected
    assert len(expected) > 20
    above = prefix_distribution(pairs, 0.1, 4, Resampling(50))
    assert above.n_pairs == int((pairs.attention > 0.1).sum()) < len(expected)


def test_padding_is_neither_destination_nor_source(model: HandBuiltModel, text: Text) -> None:
    counted = text.counted.copy()
    counted[:, 25:] = False
    pairs = attended_pairs(model, Text(text.tokens, counted), [PREVIOUS], 0.3)[PREVIOUS]
    assert pairs.dest.max() == 24


def test_replacements_never_match_the_token_before_the_destination() -> None:
    """In a vocabulary of 2 x 2 words that differ by case and space, only the other pair may be drawn."""
    words = ["up", " Up", "down", " DOWN"]
    model = hand_built_model(words, n_ctx=16)
    seen: list[np.ndarray] = []

    class Watching(HandBuiltModel):
        def activations(self, tokens, layers):
            seen.append(tokens.numpy().copy())
            return super().activations(tokens, layers)

    model.__class__ = Watching
    tokens = np.array([[BOS, 1, 3, 4, 2, 1, 3, 4, 2, 2]])
    text = Text(tokens, tokens != BOS)
    pairs = attended_pairs(model, text, [LONG_PREFIX], 0.3)[LONG_PREFIX]
    examples = long_examples(text, [pairs], 0.3, 10, 0, BOS)
    assert len(examples) > 0
    seen.clear()
    corrupted_attention(model, text, examples, [LONG_PREFIX], Draws(40, 0), Batching(1))
    originals, drawn = seen[: len(examples)], seen[len(examples) :]
    folded = np.array([0, 1, 1, 2, 2])
    for index, row in enumerate(drawn):
        example = index % len(examples)
        source, dest = int(examples.source[example]), int(examples.dest[example])
        changed = np.flatnonzero(row[0] != originals[example][0])
        assert changed.tolist() == [source - 2]
        assert row[0, source - 2] != BOS
        assert folded[row[0, source - 2]] != folded[row[0, dest - 1]]
        assert row[0, source - 1] == row[0, dest]


def test_only_destinations_with_one_earlier_copy_are_corrupted(model: HandBuiltModel) -> None:
    """The second of the copies of 5 6 has one source; the third has two, and 8 9 after the lone 9 has another."""
    rows = [
        [BOS, 5, 6, 7, 8, 9, 5, 6, 10, 11, 5, 6, 12],
        [BOS, 8, 9, 7, 6, 9, 5, 4, 3, 2, 8, 9, 12],
    ]
    text = Text(np.array(rows), np.array(rows) != BOS)
    pairs = attended_pairs(model, text, [LONG_PREFIX], 0.3)[LONG_PREFIX]
    found = list(zip(pairs.sequence, pairs.dest, pairs.source, strict=True))
    assert found == [(0, 7, 3), (0, 11, 3), (0, 11, 8), (1, 11, 3)]
    examples = long_examples(text, [pairs], 0.3, 10, 0, BOS)
    assert (examples.sequence.tolist(), examples.dest.tolist(), examples.source.tolist()) == ([0], [7], [3])


def test_random_examples_repeat_only_the_span_and_keep_their_positions(model: HandBuiltModel) -> None:
    data = repeated_prefixes(model, 30, 22, 5, seed=4)
    for row in range(30):
        source, dest = data.source[row], data.dest[row]
        for n in range(6):
            tokens = data.tokens[row, n].tolist()
            assert tokens[0] == BOS
            assert tokens[dest - n + 1 : dest + 1] == tokens[source - n : source]
            assert len(set(tokens)) == 22 - n
            assert BOS not in tokens[1:]
    assert len(set(data.dest - data.source)) > 5


def test_a_random_model_has_no_induction_heads(text: Text) -> None:
    heads = [HeadRef(layer, head) for layer in range(2) for head in range(4)]
    found = long_prefix_induction(random_model(), heads, text, SMALL)
    assert {head.verdict.kind for head in found.heads} == {"neither"}
    assert found.worst_logit_error < 1e-4


def test_without_natural_text_the_verdict_says_what_it_rests_on(model: HandBuiltModel) -> None:
    found = long_prefix_induction(model, HEADS[:2], None, SMALL)
    assert [head.verdict.kind for head in found.heads] == ["standard", "long-prefix"]
    assert all("too few natural examples" in head.verdict.reason for head in found.heads)
    assert found.heads[0].verdict.kept is None
    assert found.heads[0].natural == ()


def test_the_same_seed_repeats_and_the_batch_size_does_not_matter(
    model: HandBuiltModel, text: Text, result: LongPrefixResult
) -> None:
    assert long_prefix_induction(model, HEADS, text, SMALL) == result
    other = long_prefix_induction(model, HEADS, text, SMALL, batching=Batching(5))
    for ours, theirs in zip(result.heads, other.heads, strict=True):
        assert ours.verdict.kind == theirs.verdict.kind
        assert ours.natural == theirs.natural
        for a, b in zip(_intervals(ours), _intervals(theirs), strict=True):
            assert (a.mean, a.lower, a.upper) == pytest.approx((b.mean, b.lower, b.upper), abs=1e-5)


def test_another_seed_gives_other_sequences(model: HandBuiltModel) -> None:
    ours, same, other = (repeated_prefixes(model, 5, 24, 4, seed) for seed in (0, 0, 1))
    assert (ours.tokens == same.tokens).all()
    assert (ours.tokens != other.tokens).any()
    scores = attention_by_prefix(random_model(), ours, [STANDARD], Batching(3))
    assert scores.shape == (1, 5, 5)


def _intervals(head) -> list[Interval]:
    return [*head.attention_by_prefix, *head.logit_by_prefix, head.verdict.one_share]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": 9}, "cannot hold a span of 4"),
        ({"length": N_CTX + 1}, f"longer than the {N_CTX}"),
        ({"threshold": 1.5}, "between 0 and 1"),
        ({"n_draws": 0}, "cannot be used"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused(
    model: HandBuiltModel, change: dict[str, float], message: str
) -> None:
    with pytest.raises(InvalidExperiment, match=message):
        long_prefix_induction(model, HEADS, None, replace(SMALL, **change))


@pytest.mark.parametrize("heads", [[], [HeadRef(2, 0)], [HeadRef(0, 4)], [STANDARD, STANDARD]])
def test_heads_that_do_not_exist_are_refused(model: HandBuiltModel, heads: list[HeadRef]) -> None:
    with pytest.raises(InvalidExperiment, match="no head|twice"):
        long_prefix_induction(model, heads, None, SMALL)


def test_text_beyond_the_vocabulary_or_the_context_is_refused(model: HandBuiltModel, text: Text) -> None:
    with pytest.raises(InvalidExperiment, match="token ids 0 to 51"):
        long_prefix_induction(model, HEADS, Text(np.array([[0, 51]]), np.array([[False, True]])), SMALL)
    wide = np.ones((1, N_CTX + 1), np.int64)
    with pytest.raises(InvalidExperiment, match=f"longer than the {N_CTX}"):
        long_prefix_induction(model, HEADS, Text(wide, wide == 1), SMALL)
    with pytest.raises(InvalidExperiment, match="no tokens to count"):
        long_prefix_induction(model, HEADS, Text(text.tokens, np.zeros_like(text.counted)), SMALL)
