"""The atlas with annotations: against counts made by hand, what filters keep, and what a blind annotator gets."""

from collections import Counter

import pytest

from app.domain.annotations.records import HeadAnnotation
from app.domain.annotations.roles import UnknownRole
from app.domain.annotations.tallies import LeftOut
from app.domain.refs import HeadRef
from app.services.atlas.annotation_models import GroupPart
from app.services.atlas.cards import head_card
from app.services.atlas.models import AtlasFilter
from app.services.atlas.page import PLAIN, AtlasView, atlas_page
from app.services.reading.context import AtlasContext
from app.services.reading.layer_ranges import InvalidQuery
from app.store.database.engine import read_session
from tests.support.annotated_atlas import labelled
from tests.support.annotating import Team


@pytest.fixture
def team(engine):
    made = Team(engine, ada={}, ben={"blind": True}, eve={"role": "viewer"})
    made.save("ada", labelled(0, *"aaaaaaaab", "?", roles=("induction",)), HeadRef(0, 0))
    made.save("ada", labelled(0, *"aab", None), HeadRef(0, 2))
    made.save("ada", labelled(2, *"c" * 10), HeadRef(2, 1))
    return made


def seen(team, name, wanted=None, view=PLAIN, score=None):
    with read_session(team.engine) as session:
        context = AtlasContext(session, team.run, team[name])
        return atlas_page(context, score, wanted or AtlasFilter(), view)


def heads(page):
    return {cell.head: cell for layer in page.layers for cell in layer.heads}


def test_cells_show_one_annotators_labels(team):
    page = seen(team, "ada")
    assert (page.colour, page.notes.by, page.notes.by_viewer) == ("type", "ada", True)
    cell = heads(page)[HeadRef(0, 0)]
    assert (cell.done, cell.notes.head_type, cell.notes.roles) == ("you", "minor_exceptions", ("induction",))
    assert cell.notes.groups == (
        GroupPart("a", "IN", 8),
        GroupPart("b", "IN", 1),
        GroupPart("", "unclear", 1),
    )
    assert heads(page)[HeadRef(1, 0)].notes is None
    assert [row.count for row in page.notes.types] == [1, 1, 0, 0, 0]
    assert (page.notes.n_typed, page.notes.n_provisional) == (2, 1)
    assert page.notes.left_out == (LeftOut(HeadRef(0, 2), 1, 4),)
    assert page.notes.novelty == (1, 1, 2)
    assert page.layers[2].notes.groups == ("c",)
    assert [(line.head, line.all_alike) for line in page.layers[2].notes.notable] == [(HeadRef(2, 1), True)]


def test_the_map_shows_the_types_that_the_tally_counts(team):
    team.save("ada", labelled(2, *"d" * 10), HeadRef(2, 2), status="draft")
    page = seen(team, "ada")
    shown = Counter(cell.notes.counted_type for cell in heads(page).values() if cell.notes)
    assert [shown[row.head_type] for row in page.notes.types] == [row.count for row in page.notes.types]
    assert shown[None] == 2  # one is open, one a draft
    found = [
        ref
        for ref, cell in heads(seen(team, "ada", AtlasFilter(type="polysemantic"))).items()
        if cell.matches
    ]
    assert found == []


def test_progress_counts_who_has_done_what(team):
    team.save("ben", labelled(0, *"d" * 10), HeadRef(0, 0))
    team.save("ben", labelled(0, *"d" * 10), HeadRef(0, 1))
    notes = seen(team, "ada").notes
    assert (notes.n_heads, notes.n_you, notes.n_others, notes.n_both) == (8, 2, 1, 1)
    assert notes.next == HeadRef(0, 1)
    assert notes.annotators == ("ada", "ben")
    assert heads(seen(team, "ada"))[HeadRef(0, 0)].done == "both"
    # One head with two settled types, which differ: alpha of two units is defined and below agreement.
    assert notes.n_compared == 1
    assert notes.agreement is not None
    assert notes.agreement <= 0
    watcher = seen(team, "eve").notes
    assert (watcher.can_annotate, watcher.next, watcher.n_you, watcher.n_others) == (False, None, 0, 4)


def test_a_blind_annotator_sees_an_atlas_that_nobody_has_annotated(team):
    page = seen(team, "ben", view=AtlasView(annotator="ada"))
    assert page.notes.annotators == page.notes.roles == ()
    assert (page.notes.n_you, page.notes.n_others, page.notes.n_typed) == (0, 0, 0)
    assert all(cell.notes is None and cell.done == "nobody" for cell in heads(page).values())
    assert all(layer.notes is None for layer in page.layers)
    assert seen(team, "ben").colour == "score"
    # Which heads others have read would tell as well: the list is that of an untouched atlas.
    everyone = {HeadRef(layer, head) for layer in (0, 2) for head in range(4)}
    assert {strong.head for strong in page.notes.unread} == everyone
    assert card(team, "ben", HeadRef(0, 0), "ada").notes is None


def card(team, name, head, by=None):
    with read_session(team.engine) as session:
        return head_card(AtlasContext(session, team.run, team[name]), head, by)


def test_the_card_shows_what_the_cell_does(team):
    found = card(team, "ada", HeadRef(0, 0))
    assert found.notes == heads(seen(team, "ada"))[HeadRef(0, 0)].notes
    assert [standing.name for standing in found.standings] == [
        "induction",
        "previous_token",
        "duplicate_token",
    ]
    shares = [feature.decoder_weight_share for feature in found.features]
    assert len(shares) == 3
    assert shares == sorted(shares, reverse=True)
    bare = card(team, "ada", HeadRef(1, 0))
    assert (bare.sae, bare.notes, bare.features) == (None, None, ())


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"role": "induction"}, {HeadRef(0, 0)}),
        ({"type": "monosemantic"}, {HeadRef(2, 1)}),
        ({"status": "you"}, {HeadRef(0, 0), HeadRef(0, 2), HeadRef(2, 1)}),
        ({"status": "anyone", "layers": "2"}, {HeadRef(2, 1)}),
        ({"status": "both"}, set()),
    ],
)
def test_filters_by_label(team, wanted, expected):
    page = seen(team, "ada", AtlasFilter(**wanted))
    assert {ref for ref, cell in heads(page).items() if cell.matches} == expected
    assert page.n_matching == len(expected)


def test_filters_without_a_label_keep_the_rest(team):
    assert seen(team, "ada", AtlasFilter(type="none")).n_matching == 12 - 3
    assert seen(team, "ada", AtlasFilter(status="nobody")).n_matching == 12 - 3


def test_filters_that_mean_nothing(team):
    with pytest.raises(InvalidQuery, match="is an unknown type"):
        seen(team, "ada", AtlasFilter(type="purple"))
    with pytest.raises(InvalidQuery, match="is an unknown status"):
        seen(team, "ada", AtlasFilter(status="purple"))
    with pytest.raises(UnknownRole):
        seen(team, "ada", AtlasFilter(role="purple"))


@pytest.mark.parametrize("colour", ["score", "type", "groups", "progress"])
def test_order_by_value_keeps_each_layer(team, colour):
    page = seen(team, "ada", view=AtlasView(colour, "value"))
    for layer in page.layers:
        assert sorted(cell.head for cell in layer.heads) == [HeadRef(layer.layer, head) for head in range(4)]
    first = page.layers[0].heads
    if colour == "score":
        values = [cell.scores[page.score] for cell in first]
        assert values == sorted(values, reverse=True)
    else:
        assert {first[0].head, first[1].head} == {HeadRef(0, 0), HeadRef(0, 2)}


def test_strong_scores_are_those_of_the_layers_heads(team):
    for layer in seen(team, "ada").layers:
        best = {
            cell.head: max(cell.scores[name] for name in ("induction", "previous_token", "duplicate_token"))
            for cell in layer.heads
        }
        assert [(found.head, found.value) for found in layer.strong] == sorted(
            ((head, value) for head, value in best.items() if value >= 0.3),
            key=lambda pair: (-pair[1], pair[0]),
        )


def test_a_draft_is_no_annotation_yet(team):
    team.save("ben", HeadAnnotation(), HeadRef(2, 3), status="draft")
    notes = seen(team, "ada").notes
    assert (notes.n_others, notes.annotators) == (0, ("ada",))
