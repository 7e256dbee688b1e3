"""An atlas made again with another SAE for a layer: labels stay with the SAE whose features they are of."""

from dataclasses import replace

import pytest

from app.domain.annotations.records import EvidenceLink, FeatureLabel, FeatureNote, Group, HeadAnnotation
from app.domain.refs import FeatureRef, HeadRef
from app.services.annotations.citations import CitationChange, apply_change, cite_experiment
from app.services.annotations.edits import SubmittedForm, apply_action
from app.services.annotations.feature_notes import notes_page
from app.services.annotations.head_records import group_names, last_groups, own_record
from app.services.annotations.saving import Restore, restore
from app.services.heads.annotated import annotation_panel
from app.services.heads.page import HeadQuestion
from app.services.reading.context import AtlasContext
from app.services.sheet.consensus import ConsensusForm, save_consensus
from app.services.sheet.rows import rows_of
from app.store.atlas.reads import get_live_run
from app.store.database.engine import write_session
from tests.support.annotated_atlas import NOW, later
from tests.support.annotating import HEAD, Team
from tests.support.experiment_results import store_experiments
from tests.support.run_data import StoredRun, make_run, publish

FEATURE = FeatureRef(0, 3)
OTHER_LAYER = HeadRef(2, 1)
CITED = EvidenceLink("example", f"{FEATURE}:0:5", "barks")
SAID = HeadAnnotation(
    groups=(Group("dogs", "unclear"),),
    labels=(FeatureLabel(FEATURE, "dogs"),),
    roles=("induction",),
    notes="as before",
    evidence=(CITED, EvidenceLink("score", "induction")),
)


def with_other_sae(run: StoredRun) -> StoredRun:
    """The same atlas with another SAE for layer 0."""
    first, *rest = run.record.saes
    record = replace(run.record, fingerprint="0" * 64, saes=(replace(first, checksum="f" * 64), *rest))
    return replace(run, record=record)


@pytest.fixture
def team(engine):
    team = Team(engine, ada={}, ben={}, root={"role": "admin"})
    team.save("ada", SAID)
    team.save("ada", FeatureNote("dogs"), ref=FEATURE)
    publish(engine, with_other_sae(make_run()))
    return team


def at(team, name, function, *arguments):
    with write_session(team.engine) as session:
        context = AtlasContext(session, get_live_run(session, "tiny"), team[name])
        return function(context, *arguments)


def edited(team, content, base, action="save"):
    return at(team, "ada", apply_action, HEAD, SubmittedForm(content, base, "submitted", action), later(60))


def form(team, name="ada"):
    return team.view(annotation_panel, team[name], HeadQuestion(HEAD))


def test_nothing_of_the_old_sae_is_said_of_the_new_ones_features(team):
    notes = team.view(notes_page, team["ben"], FEATURE)
    assert (notes.used, notes.own, notes.others) == ((), None, ())
    assert team.view(group_names, team["ada"]) == []
    assert team.view(last_groups, team["ada"], OTHER_LAYER) == ()
    shown = form(team)
    assert (shown.content.groups, any(shown.labels.values())) == ((), False)
    assert [link.target for link in shown.evidence] == ["induction"]
    assert (shown.content.roles, shown.content.notes) == (("induction",), "as before")


def test_the_record_is_shown_as_of_the_old_sae(team):
    old = make_run().record.saes[0].checksum
    shown = form(team)
    assert shown.of_other_sae is not None
    assert (shown.of_other_sae.sae, shown.of_other_sae.content) == (old, SAID)
    assert shown.sae == "f" * 64
    (record,) = form(team, "ben").others
    assert record.sae == old


def test_an_edit_that_says_nothing_of_features_rewrites_nothing(team):
    stored = edited(team, replace(form(team).content, notes="as before, but"), 1)
    assert stored.content == replace(SAID, notes="as before, but")
    assert stored.against.sae == make_run().record.saes[0].checksum
    assert team.view(notes_page, team["ben"], FEATURE).used == ()
    row = rows_of(team.view(lambda context: context.records, team["ada"])).heads[0]
    assert row["against_sae"] == stored.against.sae


def test_saving_an_unchanged_form_saves_nothing(team):
    shown = form(team)
    assert edited(team, shown.content, shown.version).version == 1


def test_labels_given_on_the_new_sae_begin_anew(team):
    cats = HeadAnnotation(
        groups=(Group("cats", "unclear"),), labels=(FeatureLabel(FEATURE, "cats"),), notes="as before"
    )
    stored = edited(team, cats, 1)
    assert stored.against.sae == "f" * 64
    assert [group.name for group in stored.head.groups] == ["cats"]
    (use,) = team.view(notes_page, team["ben"], FEATURE).used
    assert (use.head, use.group) == (HEAD, "cats")
    back = at(team, "ada", restore, Restore(HEAD, 1, 2, "back"), later(120)).revision
    assert (back.content, back.against.sae) == (SAID, make_run().record.saes[0].checksum)


def test_a_citation_on_the_new_sae_begins_anew_too(team):
    citations = at(
        team,
        "ada",
        lambda context: apply_change(context, FEATURE, HEAD, CitationChange("cite", ""), later(60)),
    )
    assert citations.numbers == {"": 2}
    stored = team.view(lambda context: own_record(context, HEAD), team["ada"])
    assert stored.against.sae == "f" * 64
    assert (stored.head.groups, stored.head.notes) == ((), "as before")
    assert [link.target for link in stored.head.evidence] == ["induction", str(FEATURE)]


def test_citing_an_experiment_says_nothing_of_features_and_rewrites_nothing(team):
    experiment = store_experiments(team.engine)["universality"]
    at(team, "ada", cite_experiment, HEAD, experiment, later(60))
    stored = team.view(lambda context: own_record(context, HEAD), team["ada"])
    assert stored.against.sae == make_run().record.saes[0].checksum
    assert stored.version == 2
    assert stored.content == replace(SAID, evidence=(*SAID.evidence, EvidenceLink("experiment", experiment)))


def test_a_consensus_takes_over_no_groups_of_another_sae(team):
    sent = ConsensusForm("ada", "", "", "induction", "ours", 0, "key")
    saved = at(team, "root", save_consensus, HEAD, sent, NOW).revision
    assert (saved.head.groups, saved.head.roles, saved.against.sae) == ((), ("induction",), "f" * 64)


def test_other_layers_are_as_before(team):
    team.save("ada", HeadAnnotation(groups=(Group("x", "unclear"),)), ref=OTHER_LAYER)
    stored = at(team, "ada", apply_action, OTHER_LAYER, SubmittedForm(HeadAnnotation(), 1, "submitted"), NOW)
    assert stored.head.groups == ()
