"""Many writers of the same records at once lose nothing, and double nothing."""

import threading
from collections import Counter

import pytest

from app.domain.annotations.records import HeadAnnotation, Subject
from app.domain.refs import HeadRef
from app.errors import StoreBusy
from app.store import annotations
from app.store.annotations import Conflict
from app.store.annotators import CONSENSUS, ensure_annotator
from app.store.database.engine import open_store, write_session
from tests.support.annotated_atlas import NOW, draft, make_atlas, save
from tests.support.counts import count
from tests.support.stored_annotations import n_rows, read, revisions


class RecordWriter(threading.Thread):
    """Adds its own lines to records that all share, merging on every conflict; delivers some saves twice."""

    def __init__(self, url, atlas_id, record_of, author, heads, n_saves):
        super().__init__()
        self.arguments = (url, atlas_id, record_of, author, heads, n_saves)
        self.acknowledged = []
        self.conflicts = 0
        self.failure = None

    def run(self):
        try:
            self._write(*self.arguments)
        except BaseException as error:
            self.failure = error

    def _write(self, url, atlas_id, record_of, author, heads, n_saves):
        engine = open_store(url)
        seen = dict.fromkeys(heads, (0, ""))
        for i in range(n_saves):
            subject = heads[(i + author.id) % len(heads)]
            line = f"{author.id}.{i}"
            base, notes = seen[subject]
            made = draft(
                record_of, HeadAnnotation(notes=f"{notes}{line} "), base, subject, author_id=author.id
            )
            for _ in range(2000):
                try:
                    saved = save(engine, atlas_id, made)
                    if i % 3 == 0:
                        assert save(engine, atlas_id, made).replayed
                except Conflict as conflict:
                    self.conflicts += 1
                    notes = conflict.theirs.content.notes
                    made = draft(
                        record_of,
                        HeadAnnotation(notes=f"{notes}{line} "),
                        conflict.theirs.version,
                        subject,
                        author_id=author.id,
                    )
                except StoreBusy:
                    continue
                else:
                    seen[subject] = (saved.revision.version, saved.revision.content.notes)
                    self.acknowledged.append((subject, line))
                    break
        engine.dispose()


@pytest.mark.parametrize("n_saves", [6, pytest.param(200, marks=pytest.mark.slow)])
def test_d01_sixteen_writers_on_four_heads_lose_and_double_nothing(store_url, engine, n_saves):
    atlas_id, people = make_atlas(engine, *(f"writer {i:02}" for i in range(16)))
    with write_session(engine) as session:
        shared = ensure_annotator(session, CONSENSUS, NOW, "system")
    heads = [Subject(HeadRef(1, head)) for head in range(4)]
    writers = [RecordWriter(store_url, atlas_id, shared, author, heads, n_saves) for author in people]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=600)
    assert [writer.failure for writer in writers] == [None] * 16
    acknowledged = [item for writer in writers for item in writer.acknowledged]
    assert len(acknowledged) == 16 * n_saves
    assert sum(writer.conflicts for writer in writers) > 0
    for record in read(engine, annotations.current_records, atlas_id):
        kept = Counter(record.content.notes.split())
        assert kept == Counter(line for subject, line in acknowledged if subject == record.subject)
        versions = [r.version for r in revisions(engine, atlas_id, record.subject, shared.id)]
        assert versions == list(range(len(kept), 0, -1))
    assert n_rows(engine) == 16 * n_saves
    count("saves of 16 annotators", 16 * n_saves)
