"""Saving, blindness, history, restoring, merging and suggestions."""

import statistics
import time
import uuid
from dataclasses import replace

import pytest

from app.domain.annotations.records import EvidenceLink, FeatureNote, HeadAnnotation, Subject
from app.domain.refs import FeatureRef, HeadRef
from app.errors import AppError, NotFound
from app.services.accounts import accounts
from app.services.annotations import saving
from app.services.annotations.feature_notes import notes_page
from app.services.annotations.saving import Restore
from app.services.heads.annotated import annotation_panel
from app.services.heads.page import HeadQuestion
from app.services.reading import visibility
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import (
    PUBLIC,
    Forbidden,
    Viewer,
    hints_are_open,
    visible_history,
    visible_records,
)
from app.services.rollups.rollup import agree
from app.store.annotations import Conflict, get_atlas_id
from app.store.annotators import CONSENSUS, add_annotator, get_annotator
from app.store.database.engine import write_session
from tests.support.annotated_atlas import NOW, labelled, later
from tests.support.annotating import HEAD, Team
from tests.support.rollups import roll_up
from tests.support.run_data import make_run

FEATURE = FeatureRef(0, 3)


@pytest.fixture
def team(engine):
    return Team(
        engine,
        ada={},
        ben={"blind": True},
        eve={"role": "viewer", "blind": True},
        root={"role": "admin"},
    )


def seen(team, name, *subjects):
    atlas_id = team.read(get_atlas_id, "tiny")
    records = team.read(visible_records, atlas_id, team[name], subjects or None)
    return {(str(record.subject.ref), record.annotator) for record in records}


def test_a_save_names_its_run_sae_and_software(team):
    kept = team.save("ada", labelled(0, "a"))
    run = make_run().record
    assert (kept.against.run, kept.against.sae) == (run.fingerprint, run.saes[0].checksum)
    assert kept.against.software
    note = team.save("ada", FeatureNote("of"), FEATURE)
    assert note.subject == Subject(FEATURE, run.saes[0].checksum)
    assert team.save("ada", ref=HeadRef(1, 0)).against.sae == ""  # a layer without an SAE


@pytest.mark.parametrize(
    ("ref", "content"),
    [
        (HeadRef(3, 0), HeadAnnotation()),
        (HeadRef(0, 4), HeadAnnotation()),
        (FeatureRef(1, 3), FeatureNote()),
        (FeatureRef(0, 2304), FeatureNote()),
        (HeadRef(0, 0), labelled(2, "a")),
        (HEAD, replace(labelled(0, "a"), notes="\x00")),
    ],
)
def test_what_the_atlas_does_not_have_is_refused(team, ref, content):
    with pytest.raises(AppError):
        team.save("ada", content, ref)
    assert seen(team, "root") == set()


def test_a_viewer_reads_and_only_an_admin_writes_the_consensus(team):
    with pytest.raises(Forbidden, match="'eve' may read"):
        team.save("eve")
    with pytest.raises(Forbidden, match="only an admin"):
        team.save("ada", for_consensus=True)
    kept = team.save("root", for_consensus=True)
    assert (kept.annotator, kept.author) == (CONSENSUS, "root")


def test_d16_a_blind_annotator_sees_a_head_of_others_after_submitting_their_own(team):
    other = HeadRef(0, 2)
    team.save("ada", labelled(0, "secret"))
    team.save("ada", labelled(0, "secret"), other)
    team.save("root", for_consensus=True)
    assert seen(team, "ben") == set()
    assert len(seen(team, "eve")) == 3  # who does not annotate is not blind
    team.save("ben", status="draft")
    assert seen(team, "ben") == {("L0H1", "ben")}
    assert team.save("ben", base=1).blind
    assert seen(team, "ben") == {("L0H1", "ben"), ("L0H1", "ada"), ("L0H1", CONSENSUS)}
    assert not team.save("ben", base=2, status="draft").blind  # seen is seen, taking it back does not help
    assert ("L0H1", "ada") in seen(team, "ben")


def test_d16_no_reader_shows_a_blind_annotator_what_is_hidden(team):
    team.save("ada", labelled(0, *["secret"] * 5, roles=("induction",)))
    ben = team["ben"]
    atlas_id = team.read(get_atlas_id, "tiny")
    assert team.view(roll_up, ben, "ada").n_submitted == 0
    assert "secret" not in repr(team.view(roll_up, ben, "ada"))
    assert team.view(agree, ben).annotators == ()
    with pytest.raises(NotFound) as caught:
        team.read(visible_history, atlas_id, ben, Subject(HEAD), "ada")
    assert "secret" not in str(caught.value)
    assert team.view(roll_up, team["eve"], "ada").n_submitted == 1


def test_d16_feature_notes_of_others_are_hidden_too(team):
    subject = Subject(FEATURE, make_run().record.saes[0].checksum)
    team.save("ada", FeatureNote("secret"), FEATURE)
    assert seen(team, "ben", subject) == set()
    team.save("ben", FeatureNote("mine"), FEATURE)
    assert seen(team, "ben", subject) == {("L0F3", "ada"), ("L0F3", "ben")}


def test_a_revealed_hint_is_recorded_and_ends_blindness_to_it(team):
    atlas_id = team.read(get_atlas_id, "tiny")
    assert team.read(hints_are_open, atlas_id, team["ada"], HEAD)
    assert not team.read(hints_are_open, atlas_id, team["ben"], HEAD)
    with write_session(team.engine) as session:
        saving.reveal_hint(AtlasContext(session, team.run, team["ben"]), HEAD, later(1))
    assert team.read(hints_are_open, atlas_id, team["ben"], HEAD)
    assert not team.read(hints_are_open, atlas_id, team["ben"], HeadRef(0, 2))
    assert not team.save("ben").blind
    assert seen(team, "ben") == {("L0H1", "ben")}


def test_a_hint_is_open_on_the_panel_of_the_head_that_it_was_revealed_of(team):
    def is_open(head):
        return team.view(lambda context: annotation_panel(context, HeadQuestion(head)).hint_open, team["ben"])

    other = HeadRef(HEAD.layer, HEAD.head + 1)
    assert [is_open(head) for head in (HEAD, other)] == [False, False]
    with write_session(team.engine) as session:
        saving.reveal_hint(AtlasContext(session, team.run, team["ben"]), HEAD, later(1))
    assert [is_open(head) for head in (HEAD, other)] == [True, False]
    team.save("ben", ref=other)
    assert is_open(other)
    team.save("ben", ref=other, base=1, status="draft")
    assert is_open(other)  # withdrawn: what was seen is seen


def test_drafts_of_others_are_not_shown(team):
    team.save("ada", status="draft")
    assert seen(team, "eve") == set()
    assert seen(team, "root") == {("L0H1", "ada")}


def test_history_and_restore(team):
    atlas_id = team.read(get_atlas_id, "tiny")
    contents = [HeadAnnotation(notes=note) for note in ("one", "two", "three")]
    for version, content in enumerate(contents):
        team.save("ada", content, base=version, status="draft" if version == 1 else "submitted")
    with write_session(team.engine) as session:
        request = Restore(HEAD, 1, 3, str(uuid.uuid4()))
        restored = saving.restore(AtlasContext(session, team.run, team["ada"]), request, later(9)).revision
    assert (restored.version, restored.restored_from, restored.content) == (4, 1, contents[0])
    kept = team.view(saving.history, team["ada"], HEAD, "ada").revisions
    assert [record.content.notes for record in kept] == ["one", "three", "two", "one"]
    others = team.read(visible_history, atlas_id, team["eve"], Subject(HEAD), "ada").revisions
    assert [record.version for record in others] == [4, 3, 1]  # not the draft
    with pytest.raises(Conflict), write_session(team.engine) as session:
        saving.restore(
            AtlasContext(session, team.run, team["ada"]), replace(request, idempotency_key="k"), NOW
        )
    with pytest.raises(NotFound, match="no version 9"), write_session(team.engine) as session:
        saving.restore(AtlasContext(session, team.run, team["ada"]), Restore(HEAD, 9, 4, "k"), NOW)


def test_a_conflict_proposes_a_merge_that_saves(team):
    base = labelled(0, "a", None, notes="old")
    team.save("ada", base)
    team.save("ada", replace(base, confidence=4, notes="theirs"), base=1)
    with pytest.raises(Conflict) as caught:
        team.save("ada", replace(base, roles=("induction",), notes="mine"), base=1)
    merged = saving.propose_merge(caught.value)
    assert [clash.field for clash in merged.clashes] == ["notes"]
    assert (merged.content.confidence, merged.content.roles) == (4, ("induction",))
    assert team.save("ada", merged.content, base=caught.value.theirs.version).version == 3


def test_a_conflict_of_two_first_saves_merges_against_nothing(team):
    team.save("ada", FeatureNote("x"), FEATURE)
    with pytest.raises(Conflict) as caught:
        team.save("ada", FeatureNote("", "y"), FEATURE)
    assert saving.propose_merge(caught.value).content == FeatureNote("x", "y")


def test_passwords(team):
    with write_session(team.engine) as session:
        add_annotator(session, "lin", NOW, password_hash=accounts.hash_password("correct horse"))
    assert team.read(get_annotator, "lin").password_hash.startswith("$argon2id$")
    assert team.read(accounts.log_in, "lin", "correct horse").name == "lin"
    for name, password in (("lin", "wrong horse"), ("nobody", "correct horse"), ("ada", ""), ("\x00", "x")):
        with pytest.raises(accounts.WrongLogin, match="the name or the password is wrong"):
            team.read(accounts.log_in, name, password)
    for password in ("short", "x" * 1001):
        with pytest.raises(accounts.WeakPassword):
            accounts.hash_password(password)


def test_e15_a_login_takes_as_long_for_a_name_that_does_not_exist(team):
    with write_session(team.engine) as session:
        add_annotator(session, "lin", NOW, password_hash=accounts.hash_password("correct horse"))

    def seconds(name):
        start = time.process_time()
        with pytest.raises(accounts.WrongLogin):
            team.read(accounts.log_in, name, "wrong horse")
        return time.process_time() - start

    seconds("nobody")  # makes the dummy hash
    known, unknown = (statistics.median(seconds(name) for _ in range(5)) for name in ("lin", "nobody"))
    assert unknown > known / 2


def test_roles_of_viewers():
    assert visibility.Viewer.of(_annotator("viewer")).blind is False
    assert visibility.Viewer.of(_annotator("admin")).blind is True
    assert Viewer.of(_annotator("annotator")).name == "x"


def _annotator(role):
    from app.store.annotators import Annotator

    return Annotator(1, "x", role, True, NOW, None, None)


def test_d16_uses_of_a_feature_are_those_that_the_viewer_may_see(team):
    cited = EvidenceLink("example", f"{FEATURE}:0:5", "it reads a comma")
    team.save("ada", labelled(0, "commas", "verbs", evidence=(cited,)))
    team.save("root", labelled(0, "?"), HeadRef(0, 2))
    team.save("root", labelled(0, "secret"), HeadRef(0, 3), status="draft")

    def used(name):
        found = team.view(notes_page, PUBLIC if name is None else team[name], FEATURE).used
        return [(str(use.head), use.annotator, use.group, use.unclear, use.cited) for use in found]

    first = ("L0H1", "ada", "commas", False, ("it reads a comma",))
    second = ("L0H2", "root", None, True, ())
    assert used("ada") == used("eve") == used(None) == [first, second]
    assert used("ben") == []
    team.save("ben", labelled(0, "mine"))
    assert used("ben") == [first, ("L0H1", "ben", "mine", False, ())]


@pytest.mark.parametrize("status", ["draft", "unsure", "skipped"])
def test_what_is_given_away_is_what_was_submitted(team, status):
    team.save("ada")
    team.save("root", ref=HeadRef(0, 2), status=status)
    records = team.read(lambda session: visible_records(session, get_atlas_id(session, "tiny"), PUBLIC))
    assert [(record.annotator, record.status) for record in records] == [("ada", "submitted")]
