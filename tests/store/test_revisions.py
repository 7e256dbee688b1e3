"""Rows of revisions made into revisions: one text is parsed once, and no text is taken for another."""

from dataclasses import replace

import pytest

from app.domain.annotations.records import HeadAnnotation
from app.store import annotations, revisions
from app.store.database.engine import read_session
from app.store.histories import WHOLE, read_history
from tests.support.annotated_atlas import HEAD, draft, later, make_atlas, save

SHORT, OTHER, LONG = (
    HeadAnnotation(notes="one"),
    HeadAnnotation(notes="two"),
    HeadAnnotation(notes="n" * 9000),
)

NOTES = tuple(HeadAnnotation(notes=f"note {version}") for version in range(5))


def contents(engine, atlas_id):
    with read_session(engine) as session:
        return [record.content for record in annotations.current_records(session, atlas_id)]


@pytest.mark.parametrize(("content", "same_object"), [(SHORT, True), (LONG, False)], ids=["short", "long"])
def test_a_text_of_usual_length_is_parsed_once_for_all_pages(engine, content, same_object):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    save(engine, atlas_id, draft(ada, content))
    (first,), (second,) = contents(engine, atlas_id), contents(engine, atlas_id)
    assert first == second == content
    assert (first is second) == same_object


def test_the_next_version_is_read_and_not_the_one_in_memory(engine):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    save(engine, atlas_id, draft(ada, SHORT))
    assert contents(engine, atlas_id) == [SHORT]
    save(engine, atlas_id, replace(draft(ada, OTHER), base_version=1), later(3))
    assert contents(engine, atlas_id) == [OTHER]


def test_versions_that_are_read_no_more_take_no_room(engine):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    before = len(revisions._in_memory)
    for version in range(5):
        save(engine, atlas_id, replace(draft(ada, NOTES[version]), base_version=version), later(version))
        contents(engine, atlas_id)
    assert len(revisions._in_memory) <= before + 1
    with read_session(engine) as session:
        past = read_history(session, atlas_id, HEAD, ada.id, WHOLE, with_drafts=True).revisions
    assert [record.content for record in past] == list(reversed(NOTES))
