"""Suggestions from evidence: one name for one behaviour, nothing from BOS, long prefixes against what is usual."""

from dataclasses import replace

import numpy as np
import pytest

from app.domain.evidence import KINDS, LONG_PREFIX
from app.domain.refs import FeatureRef, HeadRef
from app.services.annotations.hints import Suggestions, lower_bound, suggest
from app.services.annotations.long_prefixes import usual_long_share
from app.services.heads.annotated import annotated_head, annotated_row
from app.services.heads.page import HeadQuestion, head_page
from app.services.reading.context import AtlasContext
from app.store.atlas.reads import get_live_run
from app.store.database.engine import read_session
from tests.support.annotating import HEAD, Team
from tests.support.odd_text import prefix_length
from tests.support.run_data import make_run


@pytest.fixture
def team(engine):
    return Team(engine, ada={}, ben={"blind": True})


@pytest.fixture
def features_with(team):
    """The rows of a head's page, with so many of the top examples showing one kind of evidence."""

    def make(kind, count, prefix=0, n=6):
        with read_session(team.engine) as session:
            page = head_page(AtlasContext(session, team.run), HeadQuestion(HEAD, k=n))
        return [
            replace(
                row,
                evidence_counts={name: count if name == kind else 0 for name in row.evidence_counts},
                examples=tuple(replace(example, prefix_length=prefix) for example in row.examples),
            )
            for row in page.features
        ]

    return make


@pytest.mark.parametrize(
    ("kind", "prefix", "expected"),
    [
        ("induction", 1, "induction"),
        ("induction", 2, "long-prefix induction"),
        ("previous_token", 0, "previous token"),
        ("same_token", 0, "duplicate token"),
        ("copying", 0, "copying"),
    ],
)
def test_evidence_suggests_groups_and_roles_with_their_counts(features_with, kind, prefix, expected):
    found = suggest(features_with(kind, 10, prefix), lambda: 0.3)
    assert {suggestion.group for suggestion in found.features} == {expected}
    assert found.features[0].total == 20
    assert [(role.role, role.count, role.total) for role in found.roles] == [(expected, 6, 6)]


def test_too_little_evidence_suggests_nothing(features_with):
    assert suggest(features_with("induction", 9), lambda: 0.3) == Suggestions()
    assert suggest([], lambda: 0.3) == Suggestions()
    few = [replace(row, evidence_n=4) for row in features_with("induction", 4)]
    assert suggest(few, lambda: 0.3) == Suggestions()


@pytest.fixture
def rows(team):
    with read_session(team.engine) as session:
        return head_page(AtlasContext(session, team.run), HeadQuestion(HEAD)).features


def showing(row, long=0, **counts):
    """A row of 20 top examples of which so many show each kind, and so many of induction have a long prefix."""
    n_induction = counts.get("induction", 0)
    lengths = [LONG_PREFIX] * long + [1] * (n_induction - long) + [0] * (20 - n_induction)
    examples = tuple(
        replace(example, prefix_length=n) for example, n in zip(row.examples[:20], lengths, strict=True)
    )
    return replace(row, evidence_counts=dict.fromkeys(KINDS, 0) | counts, examples=examples)


def named(features, usual=0.3):
    return [found.group for found in suggest(features, lambda: usual).features]


def test_an_induction_head_gets_one_name_though_some_of_its_features_have_long_prefixes(rows):
    mostly_short = [showing(row, long=6, induction=19) for row in rows[:7]]
    mostly_long = [showing(row, long=14, induction=19) for row in rows[7:]]
    assert named([*mostly_short, *mostly_long]) == ["induction"] * 10


def test_long_prefixes_are_proposed_for_all_features_or_none_and_only_above_what_is_usual(rows):
    features = [showing(row, long=8 + 4 * (i % 3), induction=20) for i, row in enumerate(rows)]  # 116 of 200
    assert named(features, usual=0.3) == ["long-prefix induction"] * 10
    assert named(features, usual=0.5) == ["long-prefix induction"] * 10
    assert named(features, usual=0.55) == ["induction"] * 10  # 116 of 200 may be that by chance
    assert named(features, usual=0.9) == ["induction"] * 10
    found = suggest(features, lambda: 0.3)
    assert [one.count for one in found.features[:3]] == [8, 12, 16]


def test_what_is_usual_is_asked_only_for_long_prefixes(rows):
    def fail():
        raise AssertionError("asked")

    features = [showing(row, long=9, induction=20) for row in rows]
    assert {one.group for one in suggest(features, fail).features} == {"induction"}


def test_a_source_that_is_several_things_gets_the_name_of_the_heads_other_features(rows):
    previous = [showing(row, previous_token=18) for row in rows[:9]]
    both = showing(rows[9], long=10, induction=11, previous_token=20, same_token=10)
    assert named([*previous, both]) == ["previous token"] * 10
    alone = [showing(row) for row in rows[:9]]
    assert named([*alone, both]) == ["long-prefix induction"]


def test_induction_that_raises_what_it_reads_is_induction(rows):
    assert named([showing(row, induction=15, copying=20) for row in rows]) == ["induction"] * 10


def test_the_lower_bound_is_wilsons():
    assert lower_bound(0, 0) == 0
    assert lower_bound(0, 10) == pytest.approx(0, abs=1e-12)
    assert lower_bound(10, 20) == pytest.approx(0.2993, abs=1e-4)
    assert lower_bound(190, 200) == pytest.approx(0.9104, abs=1e-4)


def reading(run, change):
    """The run with other examples: `change` gives the source of the first slot of each example and head."""
    features = {}
    for ref, feature in run.features.items():
        if feature.examples is not None:
            source = change(ref, feature.examples).astype(np.int16)
            slots = feature.examples.source.copy()
            slots[:, :, 0] = source
            feature = replace(feature, examples=replace(feature.examples, source=slots))
        features[ref] = feature
    return replace(run, features=features)


def at_start(run):
    """The run as a head sees it that fires on the first token, and can but read BOS: the token before."""
    every = make_every(run, position=1)
    counts = {kind: np.full(4, 20 if kind in ("bos", "previous_token") else 0) for kind in KINDS}
    features = {
        ref: replace(feature, evidence=replace(feature.evidence, counts=counts))
        for ref, feature in every.features.items()
    }
    return replace(every, features=features)


def make_every(run, position):
    features = {
        ref: feature
        if feature.examples is None
        else replace(
            feature,
            examples=replace(feature.examples, position=np.full_like(feature.examples.position, position)),
        )
        for ref, feature in run.features.items()
    }
    return reading(replace(run, features=features), lambda _, examples: np.zeros(examples.source.shape[:2]))


def test_bos_is_no_previous_token(engine):
    team = Team(engine, at_start(make_run()), ada={})
    page = team.view(annotated_head, team["ada"], HeadQuestion(HEAD))
    assert len(page.features) == 10
    for row in page.features:
        assert row.evidence_counts == dict.fromkeys(KINDS, 0) | {"bos": 20}
        assert row.evidence["previous_token"] == 0
    assert page.annotation.suggestions == {}


def with_induction_score(run, score):
    """The run with that induction score of HEAD."""
    heads = [
        replace(head, scores=head.scores | {"induction": score}) if head.ref == HEAD else head
        for head in run.heads
    ]
    return replace(run, heads=heads)


@pytest.mark.parametrize(("score", "exceeded"), [(0.01, False), (0.099, False), (0.1, True), (0.6, True)])
def test_no_long_prefixes_are_proposed_where_attention_does_not_go_to_copies(engine, score, exceeded):
    team = Team(engine, with_induction_score(make_run(), score), ada={})
    with read_session(team.engine) as session:
        context = AtlasContext(session, get_live_run(session, "tiny"))
        rows = head_page(context, HeadQuestion(HEAD)).features
        features = [showing(row, long=20, induction=20) for row in rows]
        found = suggest(features, lambda: usual_long_share(context, HEAD, "decoder_weight", features))
    expected = "long-prefix induction" if exceeded else "induction"
    assert {one.group for one in found.features} == {expected}


def at_place(row, place, n):
    """The row with the strongest source of so many top examples at one place, the others at places of their own."""
    examples = tuple(
        replace(example, source_position=place if i < n else 100 + i, position=place + 1)
        for i, example in enumerate(row.examples[:20])
    )
    return replace(row, examples=examples)


def test_a_place_that_the_head_reads_whatever_stands_there_shows_nothing(rows):
    previous = [showing(row, previous_token=16) for row in rows]
    read_elsewhere = [at_place(row, 4, 9) for row in previous]
    assert named(read_elsewhere) == ["previous token"] * 10
    assert named([at_place(row, 4, 11) for row in previous]) == []  # five or fewer are left of each
    copies = [at_place(showing(row, copying=15), 4, 10) for row in rows]
    assert [one.count for one in suggest(copies, lambda: 0.3).features] == [10] * 10


@pytest.mark.parametrize("rank", ["decoder_weight", "fve"])
def test_what_is_usual_is_the_slow_loop(engine, rank):
    run = with_induction_score(make_run(), 0.5)
    team = Team(engine, run, ada={})
    bos = run.record.model.bos_token_id
    with read_session(team.engine) as session:
        context = AtlasContext(session, get_live_run(session, "tiny"))
        rows = head_page(context, HeadQuestion(HEAD, rank)).features
        found = usual_long_share(context, HEAD, rank, rows)
    shares = []
    for sequence in {example.sequence for row in rows for example in row.examples[: row.evidence_n]}:
        tokens = run.sequences[sequence]
        for dest in range(len(tokens)):
            sources = [s for s in range(1, dest + 1) if tokens[s - 1] == tokens[dest] != bos]
            lengths = [prefix_length(tokens, dest, source) for source in sources]
            if lengths:
                shares.append(np.mean([length >= LONG_PREFIX for length in lengths]))
    sources = []
    for head in (HeadRef(0, 0), HeadRef(0, 2), HeadRef(0, 3)):
        for place in run.rankings[head, rank].features[:10]:
            feature = run.features[place.ref]
            if feature.evidence.counts["induction"][head.head] >= 10:
                sources += [n for n in feature.examples.prefix_length[:20, head.head].tolist() if n >= 1]
    others = np.mean([n >= LONG_PREFIX for n in sources])
    assert len(sources) > 20
    same = []
    for place in run.rankings[HEAD, rank].features[:10]:
        prefixes = run.features[place.ref].examples.prefix_length[:20]
        same += [n for other in (0, 2, 3) for n in prefixes[:, other].tolist() if n >= 1]
    assert len(same) > 20
    assert found == pytest.approx(max(np.mean(shares), np.mean([n >= LONG_PREFIX for n in same]), others))
    assert 0 < np.mean(shares) < 1


def test_a_row_is_offered_what_the_page_offers(team):
    page = team.view(annotated_head, team["ada"], HeadQuestion(HEAD))
    assert len(page.annotation.suggestions) > 1
    for row in page.features:
        alone = team.view(annotated_row, team["ada"], HeadQuestion(HEAD, open_feature=row.feature))
        offered = alone.annotation.suggestions.get(row.feature)
        assert offered == page.annotation.suggestions.get(row.feature)


def test_the_row_of_a_feature_that_is_not_ranked_is_not_found(team):
    with pytest.raises(Exception, match="not among the top features"):
        team.view(annotated_row, team["ada"], HeadQuestion(HEAD, open_feature=FeatureRef(0, 4)))
