"""Documents of sequences: stored and read with them on both engines, and nothing where a run does not keep them."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import update

from app.domain.documents import Document, DocumentStart
from app.errors import InvalidStore
from app.store.atlas import reads
from app.store.atlas import writes as runs
from app.store.database.engine import read_session, write_session
from app.store.tables.atlas import SequenceRow
from tests.support import stored_runs

STARTS = [
    [DocumentStart(1, 1, 7), DocumentStart(4, 0, 2, "zwölf ☃.md")],
    [DocumentStart(1, 0, 2**31 - 1)],
    [],
]


@pytest.fixture
def run(engine) -> reads.LiveRun:
    record = replace(stored_runs.run_record(), plan={"dataset": ["docs", "prose.jsonl"]})
    with write_session(engine) as session:
        run_id = runs.begin_run(session, "tiny", record)
        runs.add_vocabulary(session, run_id, "v1", stored_runs.VOCABULARY)
        runs.add_sequences(session, run_id, stored_runs.sequences(n=3), documents=STARTS)
        runs.add_sequences(session, run_id, stored_runs.sequences(n=2), first_index=3)
        runs.go_live(session, run_id, stored_runs.report())
    with read_session(engine) as session:
        return reads.get_live_run(session, "tiny")


def test_documents_come_back_with_the_names_of_their_data_sets(engine, run: reads.LiveRun) -> None:
    with read_session(engine) as session:
        texts = reads.get_texts(session, run, range(5))
    assert [list(texts[index].starts) for index in range(5)] == [*STARTS, [], []]
    assert [texts[0].document_at(position) for position in (1, 4)] == [
        Document("prose.jsonl", 7),
        Document("docs", 2, "zwölf ☃.md"),
    ]
    assert texts[3].document_at(4) is None
    assert np.array_equal(texts[2].tokens, stored_runs.sequences(n=3)[2])


def test_documents_that_cannot_be_read_are_told_as_damage(engine, run: reads.LiveRun) -> None:
    with write_session(engine) as session:
        session.execute(
            update(SequenceRow).where(SequenceRow.sequence_index == 1).values(documents=[[1, "a"]])
        )
    with read_session(engine) as session, pytest.raises(InvalidStore, match="its documents cannot be read"):
        reads.get_texts(session, run, [1])
