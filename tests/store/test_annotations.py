"""Annotations in the store: append-only, versioned by the caller, and never lost."""

import uuid
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.domain.annotations.note_text import MAX_NOTE_BYTES
from app.domain.annotations.records import Against, FeatureNote, HeadAnnotation, Subject
from app.domain.refs import FeatureRef, HeadRef
from app.errors import AppError, NotFound
from app.store import annotations, revealed_hints
from app.store.annotations import Conflict
from app.store.annotators import CONSENSUS, ensure_annotator
from app.store.database.engine import write_session
from tests.support.annotated_atlas import AGAINST, FEATURE, HEAD, NOW, draft, later, make_atlas, save
from tests.support.annotation_strategies import annotations as any_annotation
from tests.support.run_data import make_run, publish
from tests.support.stored_annotations import ONE, THREE, TWO, n_rows, read, revisions


def test_a_save_is_read_back_whole(engine):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    saved = save(engine, atlas_id, draft(ada, ONE, status="submitted", blind=True), later(3))
    assert not saved.replayed
    (found,) = read(engine, annotations.current_records, atlas_id)
    assert found == saved.revision
    assert (found.annotator, found.author, found.version, found.status) == ("ada", "ada", 1, "submitted")
    assert (found.content, found.against, found.created_at, found.blind) == (ONE, AGAINST, later(3), True)


def test_d01_two_annotators_of_one_head_do_not_conflict(engine):
    atlas_id, (ada, ben) = make_atlas(engine, "ada", "ben")
    save(engine, atlas_id, draft(ben, ONE))
    save(engine, atlas_id, draft(ada, TWO))
    found = read(engine, annotations.current_records, atlas_id)
    assert [(record.annotator, record.content) for record in found] == [("ada", TWO), ("ben", ONE)]


def test_d01_the_second_save_of_a_shared_record_is_a_conflict_with_both_texts(engine):
    atlas_id, (ada, ben) = make_atlas(engine, "ada", "ben")
    with write_session(engine) as session:
        shared = ensure_annotator(session, CONSENSUS, NOW, "system")
    save(engine, atlas_id, draft(shared, ONE, author_id=ada.id))
    save(engine, atlas_id, draft(shared, TWO, 1, author_id=ada.id))
    with pytest.raises(Conflict) as caught:
        save(engine, atlas_id, draft(shared, THREE, 1, author_id=ben.id))
    assert (caught.value.status_code, caught.value.mine) == (409, THREE)
    assert (caught.value.theirs.content, caught.value.theirs.author) == (TWO, "ada")
    assert caught.value.base.content == ONE
    merged = HeadAnnotation(notes="two\nthree")
    save(engine, atlas_id, draft(shared, merged, caught.value.theirs.version, author_id=ben.id))
    kept = revisions(engine, atlas_id, HEAD, shared.id)
    assert [(r.version, r.author, r.content) for r in kept] == [
        (3, "ben", merged),
        (2, "ada", TWO),
        (1, "ada", ONE),
    ]


def test_d02_two_tabs_of_one_annotator(engine):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    save(engine, atlas_id, draft(ada, ONE))
    with pytest.raises(Conflict, match="L0H1 was saved as version 1"):
        save(engine, atlas_id, draft(ada, TWO))  # the other tab was opened before there was a record
    assert n_rows(engine) == 1


def test_d05_a_stale_form_does_not_overwrite(engine):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    save(engine, atlas_id, draft(ada, ONE))
    save(engine, atlas_id, draft(ada, TWO, 1))
    for base in (0, 1):
        with pytest.raises(Conflict):
            save(engine, atlas_id, draft(ada, THREE, base))


def test_a_version_that_never_was_is_refused(engine):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    with pytest.raises(NotFound, match="no version 7 of L0H1"):
        save(engine, atlas_id, draft(ada, ONE, 7))
    save(engine, atlas_id, draft(ada, ONE))
    with pytest.raises(Conflict) as caught:
        save(engine, atlas_id, draft(ada, TWO, 7))
    assert caught.value.base is None


def test_d11_a_note_of_the_limit_is_stored_exactly(engine):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    note = ("é\r\n\t" * MAX_NOTE_BYTES)[: MAX_NOTE_BYTES // 5 * 4] + "x" * (MAX_NOTE_BYTES % 5)
    assert len(note.encode()) == MAX_NOTE_BYTES
    save(engine, atlas_id, draft(ada, HeadAnnotation(notes=note)))
    (record,) = read(engine, annotations.current_records, atlas_id)
    assert record.content.notes == note
    with pytest.raises(AppError, match="at most 65536"):
        save(engine, atlas_id, draft(ada, HeadAnnotation(notes=note + "x"), 1))
    assert n_rows(engine) == 1


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=any_annotation(0), note=st.text(max_size=30))
def test_d12_whatever_is_accepted_comes_back_as_sent(engine, content, note):
    if not read(engine, lambda s: s.scalar(text("SELECT count(*) FROM atlases"))):
        make_atlas(engine, "ada")
    atlas_id = read(engine, annotations.get_atlas_id, "tiny")
    with write_session(engine) as session:
        ada = ensure_annotator(session, "ada", NOW, "annotator")
    subject = Subject(FeatureRef(0, 3), str(uuid.uuid4()))
    base = next((r.version for r in read(engine, annotations.current_records, atlas_id, [HEAD])), 0)
    assert save(engine, atlas_id, draft(ada, content, base)).revision.content == content
    try:
        kept = save(engine, atlas_id, draft(ada, FeatureNote("x", note), subject=subject)).revision
    except AppError:
        assert any(c < " " or "\ud800" <= c <= "\udfff" for c in note)
    else:
        assert kept.content.note == note


def test_d14_a_new_run_leaves_annotations_alone_and_they_name_theirs(engine):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    save(engine, atlas_id, draft(ada, ONE, against=Against("first run", "a" * 64, "0.1.0")))
    publish(engine, make_run(seed=2))
    (record,) = read(engine, annotations.current_records, atlas_id)
    assert (record.content, record.against.run) == (ONE, "first run")
    save(engine, atlas_id, draft(ada, TWO, 1, against=Against("second run", "b" * 64, "0.1.0")))
    kept = revisions(engine, atlas_id, HEAD, ada.id)
    assert [record.against.run for record in kept] == ["second run", "first run"]


def test_features_belong_to_their_sae(engine):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    other = replace(FEATURE, sae="b" * 64)
    save(engine, atlas_id, draft(ada, FeatureNote("of"), subject=FEATURE))
    save(engine, atlas_id, draft(ada, FeatureNote("in"), subject=other))
    save(engine, atlas_id, draft(ada, ONE))
    found = read(engine, annotations.current_records, atlas_id, [FEATURE, HEAD])
    assert {record.subject: record.content for record in found} == {FEATURE: FeatureNote("of"), HEAD: ONE}
    assert [record.content for record in read(engine, annotations.current_records, atlas_id, [other])] == [
        FeatureNote("in")
    ]
    assert read(engine, annotations.current_records, atlas_id, []) == []


def test_records_are_in_order_of_layer_and_head(engine):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    heads = [Subject(HeadRef(layer, head)) for layer, head in ((2, 0), (0, 3), (0, 0), (1, 2))]
    for subject in heads:
        save(engine, atlas_id, draft(ada, ONE, subject=subject))
    found = read(engine, annotations.current_records, atlas_id)
    assert [record.subject for record in found] == sorted(heads, key=lambda subject: subject.ref)


def test_what_was_ever_submitted_stays_so(engine):
    atlas_id, (ada, ben) = make_atlas(engine, "ada", "ben")
    save(engine, atlas_id, draft(ada, ONE, status="submitted"))
    save(engine, atlas_id, draft(ada, TWO, 1, status="draft"))
    save(engine, atlas_id, draft(ada, TWO, subject=Subject(HeadRef(0, 2)), status="unsure"))
    assert read(engine, annotations.ever_submitted, atlas_id, ada.id) == {HEAD}
    assert read(engine, annotations.ever_submitted, atlas_id, ben.id) == set()


def test_the_first_reveal_of_a_hint_is_kept(engine):
    atlas_id, (ada, ben) = make_atlas(engine, "ada", "ben")
    for minutes in (1, 9):
        with write_session(engine) as session:
            revealed_hints.reveal_hint(session, atlas_id, HeadRef(0, 1), ada.id, later(minutes))
    assert read(engine, revealed_hints.revealed_hints, atlas_id, ada.id) == {HeadRef(0, 1): later(1)}
    assert read(engine, revealed_hints.revealed_hints, atlas_id, ben.id) == {}


def test_an_unknown_atlas(engine):
    with pytest.raises(NotFound, match="no atlas 'nowhere'"):
        read(engine, annotations.get_atlas_id, "nowhere")


def test_a_refused_save_leaves_nothing(engine):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    for content in (HeadAnnotation(notes="\x00"), HeadAnnotation(roles=("nonsense",)), FeatureNote("x")):
        with pytest.raises(AppError):
            save(engine, atlas_id, draft(ada, content))
    assert n_rows(engine) == 0
