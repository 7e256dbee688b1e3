"""Rows of revisions made into revisions: one text is parsed once, and no text is taken for another."""

from dataclasses import replace

import pytest

from app.domain.annotations.records import HeadAnnotation
from app.store import annotations
from app.store.database.engine import read_session
from tests.support.annotated_atlas import draft, later, make_atlas, save

SHORT, OTHER, LONG = (
    HeadAnnotation(notes="one"),
    HeadAnnotation(notes="two"),
    HeadAnnotation(notes="n" * 9000),
)


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
