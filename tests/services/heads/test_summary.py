"""The sentence of a head's page: what it says follows from the numbers beside it, by a slow reading of them."""

from dataclasses import replace

import pytest

from app.domain.records import RANKINGS
from app.domain.refs import HeadRef
from app.services.examples.models import FeatureThroughHead
from app.services.heads.page import HeadQuestion, head_page, head_rows
from app.services.heads.summary import HeadSummary, summarise_head
from app.services.reading.context import AtlasContext
from app.services.reading.scores import ScoreRank

HEAD = HeadRef(0, 1)


@pytest.fixture
def rows(context: AtlasContext) -> tuple[FeatureThroughHead, ...]:
    return head_rows(context, HeadQuestion(HEAD))


def scored(**scores: float) -> list[ScoreRank]:
    full = {"induction": 0.0, "previous_token": 0.0, "duplicate_token": 0.0, "bos_attention": 0.0} | scores
    return [ScoreRank(name, value, 1, (value,)) for name, value in full.items()]


def showing(rows: tuple[FeatureThroughHead, ...], fve: float = 0.5, **kinds: int) -> list[FeatureThroughHead]:
    """The rows, of which the first so many show each kind in all of their examples and the others in none."""
    return [
        replace(
            row,
            evidence={kind: float(i < n) for kind, n in kinds.items()},
            evidence_counts={kind: row.evidence_n * (i < n) for kind, n in kinds.items()},
            fve_by_head=(fve,) * len(row.fve_by_head),
        )
        for i, row in enumerate(rows)
    ]


def summary(rows: list[FeatureThroughHead], **scores: float) -> HeadSummary:
    return summarise_head(HEAD, scored(**scores), rows, "decoder_weight")


def test_a_score_and_all_features_agree(rows):
    n, n_examples = len(rows), sum(row.evidence_n for row in rows)
    said = summary(showing(rows, induction=n, induction_fuzzy=n), induction=0.8)
    assert said.sentence == (
        "L0H1 attends to the token after an earlier copy of the current one on repeated random tokens (.80 of its "
        f"attention, place 1 of 1); all its top {n} features by decoder weight read the token after an earlier copy of "
        f"the firing one ({n_examples} of {n_examples} strongest examples); score and features agree."
    )
    assert (said.pattern, said.shared, said.n_sharing, said.agreement) == (
        "induction",
        "induction",
        n,
        "both",
    )


@pytest.mark.parametrize(
    ("kinds", "scores", "agreement", "ending"),
    [
        ({"previous_token": 10}, {"previous_token": 0.2}, "features", "the previous token score is .20."),
        ({"previous_token": 10}, {"induction": 0.5}, "differ", "the previous token score is .00."),
        ({"copying": 9}, {"copying": -0.4}, "features", "the copying score is \N{MINUS SIGN}.40."),
        ({"copying": 9}, {}, "features", "the features say so, and no score does."),
        ({"bos": 10}, {"bos_attention": 0.95}, "both", "score and features agree."),
        ({"same_token": 6}, {"duplicate_token": 0.4}, "both", "the score and part of the features agree."),
        ({"induction": 4, "induction_fuzzy": 6}, {"induction": 0.4}, "both", "part of the features agree."),
        ({"copying": 3}, {"induction": 0.4}, "scores", "the score says so, and the features do not."),
        ({"copying": 3}, {}, "neither", "nothing that is counted here says what the head does."),
        ({}, {}, "neither", "nothing that is counted here says what the head does."),
    ],
)
def test_how_sure_it_is(rows, kinds, scores, agreement, ending):
    of_ten = {kind: round(n * len(rows) / 10) for kind, n in kinds.items()}
    said = summary(showing(rows, **of_ten), **scores)
    assert said.agreement == agreement
    assert said.sentence.endswith(ending)


def test_features_that_a_head_hardly_writes_say_nothing_of_it(rows):
    said = summary(showing(rows, fve=0.004, bos=len(rows)), bos_attention=0.99)
    assert said.near_zero
    assert said.agreement is None
    assert "rests on BOS (.99 of its attention on text); it explains at most .004" in said.sentence
    assert not summary(showing(rows, fve=-0.5)).near_zero
    assert summary(showing(rows, fve=-0.5)).fve_beyond
    assert summary(showing(rows, fve=1.2)).fve_beyond


def test_pages_open_with_the_sentence_of_their_ranking(context: AtlasContext):
    for rank in RANKINGS:
        word = "FVE" if rank == "fve" else "decoder weight"
        page = head_page(context, HeadQuestion(HEAD, rank))
        scores = [page.scores[name] for name in ("induction", "previous_token", "duplicate_token")]
        assert (page.summary.pattern is not None) == (max(scores) >= 0.3)
        shares = [
            sum(row.evidence.get(kind, 0) >= 0.5 for row in page.features)
            for kind in page.features[0].evidence
        ]
        assert page.summary.n_sharing <= max(shares)
        assert (page.summary.shared is not None) == (2 * max(shares) >= len(page.features))
        assert page.summary.sentence.startswith(f"{HEAD} ")
        assert f"by {word}" in page.summary.sentence


def test_a_head_without_features_is_told_by_its_attention(context: AtlasContext):
    page = head_page(context, HeadQuestion(HeadRef(1, 2)))
    assert page.sae is None
    assert page.attention is not None
    assert page.summary.agreement is None
    shares = page.attention.distances
    half = next(
        part.upper for i, part in enumerate(shares) if sum(each.share for each in shares[: i + 1]) >= 0.5
    )
    assert (f"at most {half} token" if half else "to the token itself") in page.summary.sentence
