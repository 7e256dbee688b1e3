"""What experiments refuse before they run the model, and verdicts that stay undecided."""

import numpy as np
import pytest

from app.domain.experiments.errors import InvalidExperiment
from app.domain.experiments.intervals import Resampling
from app.domain.experiments.known_heads import KnownHeadParameters
from app.domain.experiments.long_prefix import VerdictRule
from app.domain.refs import HeadRef
from app.experiments import tasks
from app.experiments.checks import check_heads
from app.experiments.circuits import successor_scores
from app.experiments.corruption import long_examples
from app.experiments.known_heads import known_heads
from app.experiments.natural_text import AttendedPairs, Text
from app.experiments.progress import Batching
from app.experiments.prompts import MarkedText, Prompts, encode_marked
from app.experiments.repeated_prefixes import repeated_prefixes
from app.experiments.verdicts import HeadEvidence, judge
from tests.support.hand_built_model import BOS, HandBuiltModel, hand_built_model

RESAMPLING = Resampling(300)


@pytest.fixture(scope="module")
def model() -> HandBuiltModel:
    return hand_built_model()


def test_heads_are_named_each_once_and_at_least_one(model: HandBuiltModel) -> None:
    with pytest.raises(InvalidExperiment, match="no heads were given"):
        check_heads(model, [])
    with pytest.raises(InvalidExperiment, match="a head is named twice in L0H1, L0H1"):
        check_heads(model, [HeadRef(0, 1), HeadRef(0, 1)])


def test_a_batch_has_rows() -> None:
    with pytest.raises(ValueError, match="a batch of 0 rows"):
        Batching(0)


def test_prompts_have_targets_and_none_at_bos() -> None:
    tokens, lengths = np.array([[BOS, 1, 2]]), np.array([3])
    with pytest.raises(ValueError, match=r"targets of shape \(1, 2\) for tokens of shape \(1, 3\)"):
        Prompts("two", tokens, lengths, np.array([[False, True]]))
    with pytest.raises(ValueError, match="targets of shape"):
        Prompts("bos", tokens, lengths, np.array([[True, False, False]]))
    with pytest.raises(ValueError, match="a prompt of none has no target"):
        Prompts("none", tokens, lengths, np.array([[False, False, False]]))


def test_a_text_that_its_tokens_do_not_give_back_is_refused() -> None:
    model = hand_built_model(["known"])
    with pytest.raises(InvalidExperiment, match="the tokens of 'known unknown' do not decode to the text"):
        encode_marked(model, MarkedText.parse("known [[unknown]]"))


def test_repeated_spans_and_random_tokens_must_fit(model: HandBuiltModel) -> None:
    with pytest.raises(
        InvalidExperiment, match="cannot hold a span of 4 tokens twice; the least length is 10"
    ):
        repeated_prefixes(model, 2, 9, 4, 0)
    few = hand_built_model(["a", "b", "c"])
    with pytest.raises(InvalidExperiment, match="has only 3 ordinary tokens, not 9"):
        repeated_prefixes(few, 2, 10, 4, 0)
    with pytest.raises(InvalidExperiment, match="induction needs 4 to 3 random tokens, not 4"):
        tasks.induction(few, 2, 0, length=4)
    with pytest.raises(InvalidExperiment, match="no 4 distinct tokens to repeat among 3 ordinary ones"):
        known_heads(few, _text(few), KnownHeadParameters(n_sequences=2, length=4))


def test_no_successor_score_where_values_are_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    model = hand_built_model(["first", "second", "third", "fourth", " first", " second", " third", " fourth"])
    monkeypatch.setattr(HandBuiltModel, "values_withheld", lambda *_: "values are clipped")
    with pytest.raises(InvalidExperiment, match="no successor score of .*: values are clipped"):
        successor_scores(model)


def test_long_examples_are_sampled_where_there_are_more_than_asked_for() -> None:
    """Five texts of "1 2 3 1 2 .": in each, the second 2 has one earlier copy, with a prefix of two tokens."""
    tokens = np.array([[BOS, 10 * i + 1, 10 * i + 2, 10 * i + 3, 10 * i + 1, 10 * i + 2] for i in range(5)])
    text = Text(tokens, np.ones_like(tokens, dtype=bool))
    prefix = np.full(5, 2, np.int16)
    pairs = AttendedPairs(np.arange(5), np.full(5, 5), np.full(5, 3), np.ones(5), prefix, prefix)
    assert len(long_examples(text, [pairs], 0.3, 10, 0, BOS).sequence) == 5
    sample = long_examples(text, [pairs], 0.3, 2, 0, BOS)
    assert len(sample.sequence) == len(set(sample.sequence.tolist())) == 2
    assert set(sample.dest.tolist()) == {5}
    assert set(sample.source.tolist()) == {3}


def evidence(one: list[float], kept: list[float]) -> HeadEvidence:
    """Examples with an attention of 1 at two tokens, `one` at one token, and `kept` of 1 after corruption."""
    rows = np.array(one * 20)
    after = np.array(kept * 20)
    return HeadEvidence(
        np.stack([np.zeros_like(rows), rows, np.ones_like(rows)], axis=1),
        np.ones_like(after),
        after,
        np.arange(len(after)),
    )


@pytest.mark.parametrize(
    ("one", "kept", "reason"),
    [
        ([0.0, 1.0], [0.9, 0.9], "undecided: the interval on random tokens spans the threshold"),
        ([0.9, 0.9], [0.0, 1.0], "undecided: the interval after corruption spans the threshold"),
        ([0.9, 0.9], [0.1, 0.1], "standard on random tokens, long-prefix after corruption"),
    ],
)
def test_a_verdict_that_the_evidence_does_not_settle_is_neither(
    one: list[float], kept: list[float], reason: str
) -> None:
    verdict = judge(evidence(one, kept), VerdictRule(), RESAMPLING)
    assert (verdict.kind, verdict.reason) == ("neither", reason)
    assert judge(evidence([0.9], [0.9]), VerdictRule(), RESAMPLING).kind == "standard"


def _text(model: HandBuiltModel) -> Text:
    tokens = np.array([[BOS, 1, 2, 3]])
    return Text(tokens, np.ones_like(tokens, dtype=bool))
