"""The order in which an annotator is led through the heads: by layer, by score, by disagreement."""

import random
from dataclasses import replace

import pytest

from app.domain.refs import HeadRef
from app.services.annotations.head_records import next_head
from app.services.rollups.overview import summarise_atlas
from app.services.rollups.work_order import in_work_order
from tests.support.annotated_atlas import labelled
from tests.support.annotating import Team
from tests.support.run_data import make_run

HEADS = [HeadRef(layer, head) for layer in (0, 2) for head in range(4)]


@pytest.fixture(scope="module")
def run():
    return make_run()


@pytest.fixture
def team(engine, run):
    return Team(engine, run, ada={}, ben={}, cid={}, eve={"blind": True})


def viewer(team, name, order):
    return replace(team[name], order=order)


def walk(team, who, start=None):
    """The heads that next_head leads through, until it comes round."""
    heads = []
    head = team.view(next_head, who, start)
    while head not in heads:
        heads.append(head)
        head = team.view(next_head, who, head)
    return heads


def test_by_layer(team):
    assert team.view(in_work_order, team["ada"]) == HEADS
    assert walk(team, team["ada"]) == HEADS
    assert team.view(next_head, team["ada"], HeadRef(1, 2)) == HeadRef(2, 0)  # a layer without an SAE


def test_by_score_the_strongest_first(team, run):
    names = ("induction", "previous_token", "duplicate_token")
    strongest = {head.ref: max(head.scores[name] for name in names) for head in run.heads}
    expected = sorted(HEADS, key=lambda head: -strongest[head])
    assert expected != HEADS
    who = viewer(team, "ada", "score")
    assert walk(team, who) == expected
    team.save("ada", labelled(expected[0].layer, *"aaaaaaaaaa"), expected[0])
    assert team.view(next_head, who, None) == expected[1]
    assert team.view(lambda context: summarise_atlas(context).progress.next, who) == expected[1]
    assert team.view(next_head, who, expected[-1]) == expected[1]  # it goes round
    assert team.view(next_head, who, HeadRef(1, 2)) == expected[1]


def test_by_disagreement_of_others_and_not_of_ones_own(team):
    team.save("ben", labelled(2, *"aaaaaaaaaa"), HeadRef(2, 1))
    team.save("cid", labelled(2, *"aaaaabbbbb"), HeadRef(2, 1))
    team.save("ben", labelled(2, *"aaaaaaaaaa"), HeadRef(2, 3))
    team.save("cid", labelled(2, *"bbbbbbbbbb"), HeadRef(2, 3))
    team.save("ben", labelled(0, *"aaaaaaaaaa"), HeadRef(0, 2))
    team.save("ada", labelled(0, *"aaaaabbbbb"), HeadRef(0, 3), status="draft")
    first = [HeadRef(2, 1), HeadRef(2, 3), HeadRef(0, 2)]
    who = viewer(team, "ada", "disagreement")
    assert team.view(in_work_order, who) == first + [head for head in HEADS if head not in first]
    # A blind annotator is not led by what is hidden.
    assert team.view(in_work_order, viewer(team, "eve", "disagreement")) == HEADS


def test_the_next_head_is_that_of_a_plain_walk_whatever_is_settled(team):
    rng = random.Random(5)
    statuses = {}
    for head in rng.sample(HEADS, len(HEADS)):
        for order in ("layer", "score"):
            who = viewer(team, "ada", order)
            heads = team.view(in_work_order, who)
            for after in (None, HeadRef(1, 2), *HEADS):
                # A head of a layer without an SAE has its place among the layers, but in no other order.
                past = [h <= after for h in heads].count(True) if after and order == "layer" else 0
                start = heads.index(after) + 1 if after in heads else past
                walk = [h for h in (*heads[start:], *heads[:start]) if h != after]
                expected = [h for h in walk if statuses.get(h, "draft") == "draft"]
                assert team.view(next_head, who, after) == next(iter(expected), None), (order, after)
        statuses[head] = rng.choice(("draft", "submitted", "skipped", "submitted"))
        team.save("ada", labelled(head.layer, *"aaaaaaaaaa"), head, status=statuses[head])
    assert set(statuses.values()) == {"draft", "submitted", "skipped"}


def test_an_atlas_without_the_scores_is_walked_by_layer(engine, run):
    bare = replace(run, heads=[replace(head, scores={}) for head in run.heads])
    team = Team(engine, bare, ada={})
    assert team.view(in_work_order, viewer(team, "ada", "score")) == HEADS
