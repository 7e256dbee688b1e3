"""Three contents to save, and what is stored after."""

from sqlalchemy import func, select

from app.domain.annotations.records import HeadAnnotation
from app.store.database.engine import read_session
from app.store.histories import WHOLE, read_history
from app.store.tables.annotations import RevisionRow

ONE, TWO, THREE = (HeadAnnotation(notes=note) for note in ("one", "two", "three"))


def read(engine, function, *arguments):
    """What a reader of the store gives, in a session of its own."""
    with read_session(engine) as session:
        return function(session, *arguments)


def n_rows(engine):
    """The number of revisions that the store holds."""
    with read_session(engine) as session:
        return session.scalar(select(func.count()).select_from(RevisionRow))


def revisions(engine, atlas_id, subject, annotator_id):
    """Every revision of a record, newest first, drafts too."""
    return read(engine, read_history, atlas_id, subject, annotator_id, WHOLE, True).revisions
