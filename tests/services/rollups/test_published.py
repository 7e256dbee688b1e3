"""The published facts, their honesty about their source, and the comparison with them."""

from dataclasses import replace

import pytest

from app.domain.annotations.records import HeadAnnotation, Subject, check_content
from app.domain.records import ModelRecord
from app.domain.refs import HeadRef
from app.services.annotations import saving
from app.services.reading.context import AtlasContext
from app.services.rollups.published import compare, published_for, visible_published
from app.store.database.engine import write_session
from tests.support.annotated_atlas import NOW
from tests.support.annotating import Team
from tests.support.rollups import compare_with_published
from tests.support.run_data import RunShape, make_run

GPT2 = ModelRecord("gpt2", "main", 12, 12, 12, 64, 768, 50257, 50256)
FACTS = published_for(GPT2)


def heads_with(role):
    return {
        str(head) for head, found in FACTS.heads.items() if found.known and role in found.annotation.roles
    }


def test_every_fact_is_an_annotation_that_the_form_would_accept():
    assert len(FACTS.heads) > 40
    for head, found in FACTS.heads.items():
        assert max(head.layer, head.head) < 12
        check_content(found.annotation, Subject(head))
        assert found.annotation.notes


@pytest.mark.parametrize(
    ("role", "heads"),
    [
        ("induction", {"L5H1", "L5H5", "L6H9", "L7H2", "L7H10"}),
        ("previous token", {"L4H11"}),
        ("copy suppression", {"L10H7"}),
        ("duplicate token", {"L3H0"}),
        ("successor", {"L9H1"}),
    ],
)
def test_the_list_of_known_heads(role, heads):
    assert heads_with(role) == heads


def test_the_contradictions_are_those_of_the_facts():
    starred = {
        head for head, found in FACTS.heads.items() if "starred in" in found.annotation.override_reason
    }
    named = {head for head, found in FACTS.heads.items() if "candidate" in found.annotation.override_reason}
    assert (len(starred), len(named), len(starred | named)) == (13, 8, 16)
    assert FACTS.totals["monosemantic"] == 14
    assert "13 carry a star, 8 are named as candidates, and together these are 16" in FACTS.contradictions[0]
    for head in ("L5H1", "L5H5", "L5H6"):
        assert HeadRef.parse(head) in named - starred
        assert FACTS.heads[HeadRef.parse(head)].caveat


@pytest.mark.parametrize(
    "change", [{"name": "gpt2-medium"}, {"n_layers": 24}, {"n_heads": 16}, {"name": "org/Tiny"}]
)
def test_other_models_have_no_published_facts(change):
    assert published_for(replace(GPT2, **change)) is None
    assert published_for(replace(GPT2, name="openai-community/GPT2")) is FACTS


def test_a_comparison_by_hand():
    given = {
        HeadRef(5, 1): HeadAnnotation(roles=("induction",), override="monosemantic", override_reason="x"),
        HeadRef(3, 0): HeadAnnotation(
            roles=("previous token",), override="polysemantic", override_reason="x"
        ),
        HeadRef(9, 1): HeadAnnotation(),
        HeadRef(11, 11): HeadAnnotation(roles=("induction",)),
    }
    found = compare(given, FACTS.heads)
    assert [str(row.head) for row in found.heads] == ["L3H0", "L5H1", "L9H1"]
    assert [row.role_overlap for row in found.heads] == [0, 0.5, 0]
    assert [row.same_type for row in found.heads] == [False, True, None]
    assert (found.n_role_shared, found.n_role_compared) == (1, 3)
    assert (found.n_same_type, found.n_type_compared) == (1, 2)
    assert (found.n_known_recovered, found.n_known_compared) == (1, 3)


def test_d16_a_blind_annotator_sees_published_facts_of_heads_they_submitted_or_revealed(engine):
    run = make_run(shape=RunShape(12, 12, (0,), 4))
    run = replace(run, record=replace(run.record, model=replace(run.record.model, name="gpt2")))
    team = Team(engine, run, ada={}, ben={"blind": True})
    assert len(team.view(visible_published, team["ada"])) == len(FACTS.heads)
    assert team.view(visible_published, team["ben"]) == {}
    team.save("ada", HeadAnnotation(roles=("induction",)), HeadRef(6, 9))
    assert team.view(compare_with_published, team["ben"], "ada").heads == ()
    team.save("ben", HeadAnnotation(roles=("induction",)), HeadRef(6, 9))
    with write_session(team.engine) as session:
        saving.reveal_hint(AtlasContext(session, team.run, team["ben"]), HeadRef(5, 5), NOW)
    assert set(team.view(visible_published, team["ben"])) == {HeadRef(6, 9), HeadRef(5, 5)}
    found = team.view(compare_with_published, team["ben"], "ada")
    assert (found.n_known_recovered, found.n_published) == (1, 2)


def test_an_atlas_of_another_model_compares_with_nothing(engine):
    team = Team(engine, ada={})
    team.save("ada", HeadAnnotation(roles=("induction",)))
    assert team.view(compare_with_published, team["ada"], "ada").heads == ()
