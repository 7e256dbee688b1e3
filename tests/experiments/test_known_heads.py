"""Detectors, the scoreboard, and the scan of all heads, on heads whose behaviour is known."""

import numpy as np
import pytest
import torch

from app.domain.experiments.errors import InvalidExperiment
from app.domain.experiments.intervals import Resampling
from app.domain.experiments.known_heads import KnownHeadParameters, scoreboard
from app.domain.refs import HeadRef
from app.experiments.circuits import copying_by_head, predicted_token_attention, successor_scores
from app.experiments.known_heads import known_heads
from app.experiments.natural_text import Text
from app.experiments.progress import Batching
from app.experiments.published import KNOWN_HEADS_GPT2_SMALL
from app.experiments.universality import ScanParameters, universality
from tests.support.hand_built_model import (
    BOS,
    DUPLICATE,
    LONG_PREFIX,
    PREVIOUS,
    STANDARD,
    SUCCESSOR,
    SUPPRESSOR,
    HandBuiltModel,
    hand_built_model,
    random_model,
    repeating_text,
)

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
OTHERS = "abcdefghijklmnopqrstuvwxyz0123456789 "
SMALL = KnownHeadParameters(n_sequences=6, length=12)
SCAN = ScanParameters(n_examples=10, length=16, resampling=Resampling(200))


@pytest.fixture(scope="module")
def model() -> HandBuiltModel:
    return hand_built_model([*LETTERS, *OTHERS])


def _text(model: HandBuiltModel) -> Text:
    tokens = repeating_text(model)
    return Text(tokens, tokens != BOS)


def test_every_detector_finds_the_head_that_was_built_for_it(model: HandBuiltModel) -> None:
    found = known_heads(model, _text(model), SMALL).detected()
    assert found == {
        "previous_token": {PREVIOUS},
        "duplicate_token": {DUPLICATE},
        "induction": {STANDARD, LONG_PREFIX, SUPPRESSOR},
        "copy_suppression": {SUPPRESSOR},
        "successor": {SUCCESSOR},
    }


def test_a_random_model_has_no_known_heads() -> None:
    model = random_model(1, words=[*LETTERS, *OTHERS])
    result = known_heads(model, _text(model), SMALL)
    assert all(not head.roles for head in result.heads)
    assert len(result.heads) == 8


def test_copying_and_its_negative_are_read_from_the_weights(model: HandBuiltModel) -> None:
    scores = copying_by_head(model)
    assert scores[STANDARD] == pytest.approx(1, abs=1e-3)
    assert scores[SUPPRESSOR] == pytest.approx(-1, abs=1e-3)
    assert scores[PREVIOUS] == 0
    assert abs(scores[SUCCESSOR]) < 0.1


def test_attention_to_predicted_tokens_is_that_of_a_slow_loop() -> None:
    model = random_model(4)
    text = _text(model)
    found = predicted_token_attention(model, text, Batching(5))
    tokens = torch.from_numpy(text.tokens)
    predicted = model.logits(tokens).argmax(-1)
    pattern = model.patterns(tokens)[1][:, 2]
    values = []
    for row, dest in np.argwhere(text.counted):
        copies = [s for s in range(1, dest + 1) if tokens[row, s] == predicted[row, dest]]
        if copies:
            values.append(sum(float(pattern[row, dest, s]) for s in copies))
    assert len(values) > 10
    assert found[HeadRef(1, 2)] == pytest.approx(np.mean(values), abs=1e-6)


def test_successors_are_asked_of_one_token_items_only(model: HandBuiltModel) -> None:
    scores, n_steps = successor_scores(model)
    assert n_steps == 25 + 8  # letters, and digits 1 to 9
    assert scores[SUCCESSOR] == pytest.approx(1)
    assert scores[STANDARD] == 0
    with pytest.raises(InvalidExperiment, match="no ordinal sequence"):
        successor_scores(hand_built_model(["."]))


def test_the_scoreboard_counts_both_ways() -> None:
    a, b, c = HeadRef(0, 0), HeadRef(0, 1), HeadRef(1, 0)
    rows = {r.role: r for r in scoreboard({"x": {a, b}, "y": set()}, {"x": {b, c}, "y": {a}, "z": {c}})}
    assert (rows["x"].precision, rows["x"].recall) == (0.5, 0.5)
    assert (rows["y"].precision, rows["y"].recall) == (None, 0)
    assert (rows["z"].precision, rows["z"].recall) == (None, 0)
    assert rows["x"].detected == (a, b)
    assert rows["x"].known == (b, c)
    assert KNOWN_HEADS_GPT2_SMALL["induction"] >= {HeadRef(5, 1), HeadRef(7, 10)}
    assert sum(map(len, KNOWN_HEADS_GPT2_SMALL.values())) == 9


def test_scores_do_not_depend_on_the_batch_size(model: HandBuiltModel) -> None:
    text = _text(model)
    ours, theirs = (known_heads(model, text, SMALL, Batching(size)) for size in (8, 5))
    for a, b in zip(ours.heads, theirs.heads, strict=True):
        assert dict(a.scores) == pytest.approx(dict(b.scores), abs=1e-6)
    assert known_heads(model, text, SMALL, Batching(8)) == ours


def test_unusable_requests_are_refused(model: HandBuiltModel) -> None:
    with pytest.raises(InvalidExperiment, match="longer than"):
        known_heads(model, _text(model), KnownHeadParameters(length=64))
    with pytest.raises(InvalidExperiment, match="thresholds are needed"):
        KnownHeadParameters(thresholds={"induction": 0.3})


def test_the_scan_names_both_kinds_of_induction_head(model: HandBuiltModel) -> None:
    result = universality(model, SCAN)
    assert result.named("long-prefix") == (LONG_PREFIX,)
    assert set(result.named("standard")) == {STANDARD, SUPPRESSOR}
    points = {point.head: point for point in result.heads}
    assert len(points) == 8
    assert points[STANDARD].induction_score > 0.9 > 0.1 > abs(points[STANDARD].long_prefix_gain)
    assert points[LONG_PREFIX].long_prefix_gain > 0.9 > 0.1 > points[LONG_PREFIX].induction_score


def test_the_scan_of_a_random_model_names_none() -> None:
    result = universality(random_model(2), SCAN)
    assert {point.verdict.kind for point in result.heads} == {"neither"}
