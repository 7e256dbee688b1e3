"""What pages show of an atlas's annotations, against counts made by hand, and what a blind annotator gets of it."""

from dataclasses import replace

import pytest

from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.services.rollups.overview import GroupCount, summarise_atlas
from tests.support.annotated_atlas import labelled
from tests.support.annotating import Team
from tests.support.run_data import RunShape, make_run


@pytest.fixture
def team(engine):
    made = Team(engine, ada={}, ben={"blind": True}, root={"role": "admin"})
    made.save("ada", labelled(0, *"aaaaaaaab", "?", roles=("induction",)), HeadRef(0, 0))
    made.save("ada", labelled(0, *"aab", None), HeadRef(0, 2))
    made.save("ada", labelled(2, *"c" * 10, surprising=True), HeadRef(2, 1))
    made.save("ada", labelled(2, *"d" * 10), HeadRef(2, 2), status="draft")
    return made


def seen(team, name, by=None):
    return team.view(summarise_atlas, team[name], by)


def test_the_numbers_of_one_annotator(team):
    found = seen(team, "root")
    assert (found.by, found.annotators) == ("ada", ("ada",))
    first = found.heads[HeadRef(0, 0)]
    assert (first.head_type, first.provisional, first.overridden) == ("minor_exceptions", False, False)
    assert first.groups == (
        GroupCount("a", "IN", 8),
        GroupCount("b", "IN", 1),
        GroupCount("", "unclear", 1),
    )
    assert (first.n_features, first.roles, first.novel) == (10, ("induction",), ("a", "b"))
    assert found.heads[HeadRef(0, 2)].provisional
    assert found.heads[HeadRef(2, 2)].novel == ()  # a draft
    assert (found.tally.total, found.tally.n_provisional) == (2, 1)
    assert found.tally["monosemantic"].fraction == 0.5
    assert found.novel == {HeadRef(0, 0): ("a", "b"), HeadRef(2, 1): ("c",)}
    assert found.novelty == (1, 1, 2)
    assert (found.n_surprising, found.published) == (1, None)
    assert [row.n_heads for row in found.layers] == [2, 0, 1]


def test_progress(team):
    team.save("root", HeadAnnotation(), HeadRef(0, 0))
    team.save("root", HeadAnnotation(), HeadRef(0, 1), status="skipped")
    progress = seen(team, "root").progress
    assert (progress.n_heads, len(progress.mine), len(progress.others)) == (
        8,
        1,
        3,
    )  # two of three layers have an SAE
    assert progress.both == {HeadRef(0, 0)}
    assert progress.next == HeadRef(0, 2)


def test_whose_labels_are_shown_unless_one_asks(team):
    team.save("root", HeadAnnotation(), HeadRef(1, 0))
    assert seen(team, "root").by == "root"
    assert seen(team, "ada").by == "ada"
    team.save("root", HeadAnnotation(), HeadRef(1, 0), for_consensus=True)
    assert seen(team, "ada").by == "consensus"
    assert seen(team, "ada").progress.others == {HeadRef(1, 0)}  # of root: the consensus is nobody
    assert seen(team, "ada", "nobody").heads == {}


def test_d16_a_blind_annotator_gets_no_count_of_what_is_hidden(team):
    found = seen(team, "ben", "ada")
    assert (found.annotators, found.heads, found.tally.total, found.novel) == ((), {}, 0, {})
    assert found.progress.others == frozenset()
    team.save("ben", HeadAnnotation(), HeadRef(2, 1))
    found = seen(team, "ben", "ada")
    assert set(found.heads) == {HeadRef(2, 1)}
    assert found.progress.others == found.progress.both == {HeadRef(2, 1)}


def test_d16_published_totals_are_shown_once_nothing_published_is_hidden(engine):
    run = make_run(shape=RunShape(12, 12, (0,), 4))
    run = replace(run, record=replace(run.record, model=replace(run.record.model, name="gpt2")))
    team = Team(engine, run, ada={}, ben={"blind": True})
    totals = seen(team, "ada").published
    assert (totals.n_heads, totals.n_surprising) == (144, 39)
    assert totals.by_type == {"monosemantic": 14, "minor_exceptions": 8, "bisemantic": 4}
    team.save("ben", HeadAnnotation(), HeadRef(6, 9))
    assert seen(team, "ben").published is None
