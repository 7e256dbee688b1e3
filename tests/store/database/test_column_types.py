"""The gate at the columns: text that one engine cannot hold, or that is too long, is refused, never stored."""

import pytest
from sqlalchemy import String, func, insert, select

from app.domain.annotations.note_text import MAX_NAME_BYTES, MAX_NOTE_BYTES
from app.store.database.column_types import CheckedText, UnstorableText
from app.store.database.engine import read_session, write_session
from app.store.tables.annotations import AnnotatorRow, RevisionRow
from app.store.tables.atlas import Base
from tests.support.annotated_atlas import NOW, draft, make_atlas, save
from tests.support.unstorable import UNSTORABLE

PERSON = {"name": "ada", "role": "annotator", "blind": False, "created_at": NOW}
NAMES = ("kind", "sae", "idempotency_key", "status", "against_run", "against_sae", "software")


def test_every_text_column_of_every_table_has_the_gate():
    texts = [
        column
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, String | CheckedText)
    ]
    assert len(texts) > 40
    assert [str(column) for column in texts if not isinstance(column.type, CheckedText)] == []


@pytest.mark.parametrize("text", UNSTORABLE)
def test_what_cannot_be_stored_is_refused_when_it_is_stored_or_looked_up(engine, text):
    with pytest.raises(UnstorableText) as caught, write_session(engine) as session:
        session.execute(insert(AnnotatorRow), {**PERSON, "name": text})
    assert caught.value.status_code == 422
    with pytest.raises(UnstorableText), read_session(engine) as session:
        session.scalar(select(AnnotatorRow.id).where(AnnotatorRow.name == text))
    with read_session(engine) as session:
        assert session.scalar(select(func.count()).select_from(AnnotatorRow)) == 0


@pytest.mark.parametrize("name", NAMES)
def test_names_and_keys_of_a_revision_have_the_length_of_a_name(engine, name):
    atlas_id, (ada,) = make_atlas(engine, "ada")
    save(engine, atlas_id, draft(ada))
    with read_session(engine) as session:
        row = dict(session.execute(select(RevisionRow.__table__)).one()._mapping)
    for text in (*UNSTORABLE, "x" * (MAX_NAME_BYTES + 1)):
        with pytest.raises(UnstorableText), write_session(engine) as session:
            session.execute(insert(RevisionRow), {**row, "id": 2, "version": 2, name: text})


@pytest.mark.parametrize(
    "text", ["", "a\tb\r\n", "\ufffe\u202e\x7f", "\U0001f469\u200d", "\u00e9" * (MAX_NOTE_BYTES // 2)]
)
def test_all_else_comes_back_as_it_was(engine, text):
    with write_session(engine) as session:
        session.execute(insert(AnnotatorRow), {**PERSON, "password_hash": text})
    with read_session(engine) as session:
        assert session.scalars(select(AnnotatorRow.password_hash)).all() == [text]
