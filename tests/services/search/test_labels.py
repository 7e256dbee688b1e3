"""Search over annotations against a slow loop over all records, and what a blind viewer cannot find out."""

import itertools

import pytest

from app.domain.refs import HeadRef
from app.services.reading.context import AtlasContext
from app.services.search.page import search_page
from app.services.search.suggestions import search_suggestions, split_last
from app.store.database.engine import read_session
from tests.support.annotated_atlas import labelled
from tests.support.annotating import Team

A, B, C, D = HeadRef(0, 1), HeadRef(0, 2), HeadRef(2, 0), HeadRef(1, 3)


@pytest.fixture
def team(engine) -> Team:
    team = Team(engine, ada={}, bob={}, eve={"blind": True}, boss={"role": "admin"})
    team.save("ada", labelled(0, *["commas"] * 10, roles=("induction",)), A)
    team.save("bob", labelled(0, *["commas"] * 5, *["Full stops"] * 5, roles=("successor",)), A)
    team.save("ada", labelled(0, "a", "b", "c", "d", roles=("induction", "bigram")), B, status="unsure")
    team.save("bob", labelled(2, *["x-ray"] * 4, roles=("induction",)), C, status="draft")
    team.save("eve", labelled(0, *["commas"] * 9, "?", roles=("copying",)), B)
    return team


def ask(team: Team, name: str, query: str):
    with read_session(team.engine) as session:
        return search_page(AtlasContext(session, team.run, team[name]), query)


def heads(team: Team, name: str, query: str) -> list[HeadRef]:
    return [hit.head for hit in ask(team, name, query).heads]


def suggested(team: Team, name: str, text: str) -> list[str]:
    with read_session(team.engine) as session:
        found = search_suggestions(AtlasContext(session, team.run, team[name]), text)
    return [each.query for each in found.suggestions]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("role:induction", [A, B]),
        ("role:IN role:bigram", [B]),
        ("role:successor", [A]),
        ("role:successor by:ada", []),  # one record has to say both
        ("role:induction by:ADA", [A, B]),
        ("type:mono", [A]),
        ("type:bi", [A]),
        ("type:poly", [B]),
        ("type:minor", [B]),
        ("group:commas", [A, B]),
        ('group:"full-stops"', [A]),
        ("group:stop", [A]),
        ("status:submitted", [A, B]),
        ("status:unsure", [B]),
        ("status:draft", []),
        ("by:bob", [A]),
        ("by:nobody", []),
        ("role:induction layer:1-2", []),
        ("role:copying score:entropy>=0", [B]),
    ],
)
def test_heads_by_what_is_said_of_them(team: Team, query: str, found: list[HeadRef]) -> None:
    page = ask(team, "ada", query)
    assert [hit.head for hit in page.heads] == found
    assert [place.head for place in page.where] == found
    assert all(hit.labels for hit in page.heads)
    if not found:
        assert page.problem is not None
        assert page.problem.startswith("No head fulfils")


def test_open_heads_are_those_without_a_record_that_may_be_seen(team: Team) -> None:
    everything = {HeadRef(layer, head) for layer in range(3) for head in range(4)}
    assert set(heads(team, "ada", "status:open")) == everything - {A, B}
    assert set(heads(team, "bob", "status:open")) == everything - {A, B, C}
    assert set(heads(team, "eve", "status:open")) == everything - {B}
    assert heads(team, "ada", "status:open role:induction") == []


def test_drafts_are_of_their_owner_and_of_admins(team: Team) -> None:
    assert heads(team, "bob", "status:draft") == [C]
    assert heads(team, "boss", "status:draft") == [C]
    assert heads(team, "ada", "group:x-ray") == []
    assert "group:x-ray" in suggested(team, "bob", "group:x")
    assert suggested(team, "ada", "group:x") == []


def test_features_are_those_of_the_heads_found(team: Team) -> None:
    page = ask(team, "ada", "role:induction evidence:copying>0.1")
    assert page.features
    assert {hit.head for hit in page.features} <= {A, B}
    assert sum(place.n for place in page.where) == len(page.features)
    assert ask(team, "ada", "by:nobody evidence:copying>0.1").features == ()


def test_a_blind_viewer_finds_their_own_and_what_they_have_submitted(team: Team) -> None:
    """A is hidden from eve: nothing that she asks may depend on its records."""
    assert heads(team, "eve", "role:copying") == [B]
    assert heads(team, "eve", "role:induction by:ada") == [B]  # submitted, so open
    terms = (
        "role:induction",
        "role:successor",
        "type:mono",
        "type:bi",
        "group:stops",
        "by:bob",
        "status:submitted",
    )
    for query in (*terms, *(" ".join(pair) for pair in itertools.combinations(terms, 2))):
        page = ask(team, "eve", query)
        assert A not in {hit.head for hit in page.heads}, query
        assert A not in {place.head for place in page.where}
    assert suggested(team, "eve", "by:b") == []
    assert suggested(team, "eve", "group:full") == []
    assert suggested(team, "ada", "by:b") == ["by:bob"]
    assert suggested(team, "ada", "group:full") == ['group:"Full stops"']
    # Once she has submitted, she sees.
    team.save("eve", labelled(0, *["mine"] * 10), A)
    assert A in heads(team, "eve", "by:bob")
    assert suggested(team, "eve", "by:b") == ["by:bob"]


def test_without_a_viewer_there_are_no_annotations(team: Team) -> None:
    with read_session(team.engine) as session:
        context = AtlasContext(session, team.run)
        assert search_page(context, "role:induction").heads == ()
        assert search_suggestions(context, "by:").suggestions == ()


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("pro", "promotes:"),
        ("promotes:o", "promotes:of"),
        ("evidence:ind", "evidence:induction>=0.5"),
        ("the evidence:cop", "the evidence:copying>=0.5"),
        ("score:prev", "score:previous_token>0.3"),
        ("role:long", 'role:"long-prefix'),
        ("role:previous_t", 'role:"previous token"'),
        ("type:bi", "type:bisemantic"),
        ("status:o", "status:open"),
        ("layer:", "layer:0"),
        ('group:"full', 'group:"Full stops"'),
    ],
)
def test_suggestions_complete_the_last_term(team: Team, typed: str, first: str) -> None:
    assert any(query.startswith(first) for query in suggested(team, "ada", typed)[:2])


def test_every_suggestion_can_be_searched(team: Team) -> None:
    for typed in (
        "promotes:t",
        "suppresses:a",
        "role:",
        "type:",
        "status:",
        "by:",
        "group:",
        "layer:",
        "text:th",
        "th",
    ):
        found = suggested(team, "ada", typed)
        assert found, typed
        for query in found:
            page = ask(team, "ada", query)
            assert page.features or page.heads or str(page.problem).startswith("No "), (query, page.problem)
    assert suggested(team, "ada", "") == []
    assert suggested(team, "ada", "role:induction ") == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ("", "")),
        ("a b", ("a ", "b")),
        ('a "b c', ("a ", '"b c')),
        ('x:"y z" w', ('x:"y z" ', "w")),
        ("a ", ("a ", "")),
    ],
)
def test_the_last_term(text: str, parts: tuple[str, str]) -> None:
    assert split_last(text) == parts
