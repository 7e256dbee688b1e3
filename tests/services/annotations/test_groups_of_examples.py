"""Groups of examples, where a layer has no SAE: what is stored of them, whose they are, and what their files hold."""

from dataclasses import replace

import pytest

from app.domain.annotations.records import (
    EvidenceLink,
    FeatureLabel,
    Group,
    HeadAnnotation,
    InvalidAnnotation,
)
from app.domain.annotations.tallies import left_out, tally_heads
from app.domain.refs import ExampleRef, FeatureRef, HeadRef, InvalidReference, parse_labelled
from app.errors import NotFound
from app.services.annotations.edits import SubmittedForm, apply_action
from app.services.annotations.head_records import counted_refs
from app.services.heads.annotated import annotated_head
from app.services.heads.page import HeadQuestion
from app.services.reading.context import AtlasContext
from app.services.sheet.publication import publication
from app.store.database.engine import write_session
from tests.support.annotated_atlas import NOW
from tests.support.annotating import Team
from tests.support.run_data import make_run, publish
from tests.support.sheets import export_sheet, import_sheet

HEAD = HeadRef(1, 1)  # of a layer without an SAE
NAMES = ("commas", "commas", "names", None, "?")


@pytest.fixture
def team(engine):
    return Team(engine, ada={}, root={"role": "admin"})


def examples_of(team, head=HEAD):
    return team.view(counted_refs, team["ada"], head, HeadAnnotation())


def grouped(team, names=NAMES, head=HEAD, **fields):
    """The first examples in these groups, `?` for unclear."""
    labels = [
        FeatureLabel(ref, None if name == "?" else name, name == "?")
        for ref, name in zip(examples_of(team, head), names, strict=False)
    ]
    groups = tuple(Group(name, "GR", "syntax") for name in dict.fromkeys(names) if name not in (None, "?"))
    return HeadAnnotation(groups=groups, labels=tuple(labels), **fields)


def test_an_example_is_named_by_its_head_and_place():
    ref = ExampleRef(5, 1, 12, 34)
    assert str(ref) == "L5H1:12:34"
    assert parse_labelled(str(ref)) == ref
    assert parse_labelled("L5F7") == FeatureRef(5, 7)
    for text in ("L5H1:12", "L5H1:12:34:5", "L5F1:12:34", "L5H1:-1:2", "L5H1:99999999999:1", ""):
        with pytest.raises(InvalidReference):
            parse_labelled(text)


def test_the_examples_to_label_are_those_that_the_page_shows(team):
    page = team.view(annotated_head, team["ada"], HeadQuestion(HEAD))
    assert page.annotation.counted == examples_of(team)
    assert len(page.annotation.counted) == 10
    assert page.annotation.counted == page.attention.shown(HEAD)
    assert page.annotation.of_examples
    # Beside another group of examples, labels of these go with the form.
    team.save("ada", grouped(team), HEAD)
    page = team.view(annotated_head, team["ada"], HeadQuestion(HEAD, open_group=2, example=1))
    assert page.attention.group == 2
    assert page.attention.picture.number == 1
    assert [ref for ref, value in page.annotation.unshown if value] == [
        *examples_of(team)[:3],
        examples_of(team)[4],
    ]


def test_groups_of_examples_give_no_type(team):
    said = grouped(team, ["commas"] * 10)
    assert said.of_examples
    assert said.head_type is None
    assert said.computed.groups == (("commas", 10),)
    chosen = replace(said, override="monosemantic", override_reason="groups of its examples")
    assert (chosen.head_type, chosen.provisional) == ("monosemantic", False)
    assert tally_heads([said, chosen]).n_untyped == 1
    assert [each.words for each in left_out({HEAD: said})] == [f"{HEAD} (no features, no type chosen)"]


def test_a_label_is_of_an_example_of_the_head_in_the_corpus(team):
    def with_label(ref):
        return HeadAnnotation(groups=(Group("a"),), labels=(FeatureLabel(ref, "a"),))

    with pytest.raises(InvalidAnnotation, match="not an example of L1H1"):
        team.save("ada", with_label(ExampleRef(1, 2, 0, 5)), HEAD)
    with pytest.raises(NotFound, match="not in the corpus"):
        team.save("ada", with_label(ExampleRef(1, 1, 10**6, 5)), HEAD)
    with pytest.raises(InvalidAnnotation, match="has features"):
        team.save("ada", with_label(ExampleRef(0, 1, 0, 5)), HeadRef(0, 1))


def test_labels_of_examples_stay_with_the_run_that_they_are_of(team):
    cited = (EvidenceLink("example", str(examples_of(team)[0]), "a comma"),)
    team.save("ada", grouped(team, evidence=cited, roles=("copying",)), HEAD)
    before = team.view(annotated_head, team["ada"], HeadQuestion(HEAD)).annotation
    assert before.of_other_sae is None
    assert len(before.evidence) == 1
    publish(team.engine, make_run("tiny", 2))
    panel = team.view(annotated_head, team["ada"], HeadQuestion(HEAD)).annotation
    assert panel.of_other_sae.run == make_run().record.fingerprint
    assert set(panel.labels.values()) == {""}
    assert panel.evidence == ()
    # What is not about examples is edited as before, and keeps them.
    form = SubmittedForm(replace(panel.content, notes="still"), 1, "submitted")
    with write_session(team.engine) as session:
        saved = apply_action(AtlasContext(session, team.run, team["ada"]), HEAD, form, NOW)
    assert saved.against.run == make_run().record.fingerprint
    assert [label.group for label in saved.head.labels if label.group] == ["commas", "commas", "names"]
    # A label of this run's examples begins anew.
    renewed = grouped(team, ["other"])
    form = SubmittedForm(replace(renewed, roles=("copying",)), 2, "submitted")
    with write_session(team.engine) as session:
        saved = apply_action(AtlasContext(session, team.run, team["ada"]), HEAD, form, NOW)
    assert saved.against.run == make_run("tiny", 2).record.fingerprint
    assert [label.group for label in saved.head.labels if label.group] == ["other"]


@pytest.mark.parametrize("file_format", ["csv", "json", "xlsx", "parquet"])
def test_every_format_brings_them_back(team, engine, file_format):
    said = grouped(team, override="bisemantic", override_reason="groups of its examples")
    kept = team.save("ada", said, HEAD)
    data = export_sheet(team, file_format)
    plan, changed = import_sheet(team, file_format, data)
    assert changed == 0
    assert [change.kind for change in plan.changes] == ["unchanged"]
    team.save("ada", HeadAnnotation(), HEAD, base=kept.version)
    text = export_sheet(team, file_format)
    assert text != data


def test_what_is_published_has_an_example_of_each_group(team):
    refs = examples_of(team)
    cited = (EvidenceLink("example", str(refs[1]), "the second"),)
    said = grouped(team, override="bisemantic", override_reason="two things", evidence=cited)
    team.save("ada", said, HEAD)
    [entry] = team.view(lambda context: list(publication(context).all_entries()), team["ada"])
    assert entry.features == ()
    assert [(group.name, group.count) for group in entry.groups] == [("commas", 2), ("names", 1)]
    places = [(each.group, each.sequence, each.position) for each in entry.examples]
    assert places == [
        ("commas", refs[1].sequence, refs[1].position),
        ("names", refs[2].sequence, refs[2].position),
    ]
    assert all("«" in each.fires and "«" in each.reads and each.feature is None for each in entry.examples)
