"""Rows that the database holds without complaint and no page can read: the check names them."""

import pytest
from sqlalchemy import inspect, text, update

from app.domain.annotations.records import FeatureNote, HeadAnnotation
from app.domain.refs import FeatureRef
from app.errors import InvalidStore
from app.store.checks import check_store
from app.store.database.engine import open_store, read_session, write_session
from app.store.tables.annotations import RevisionRow
from app.store.tables.atlas import (
    FeatureExamplesRow,
    FeatureRow,
    HeadAttentionRow,
    RunReportRow,
    RunRow,
    SequenceRow,
    VocabularyRow,
)
from tests.support.annotating import Team


@pytest.fixture
def team(engine) -> Team:
    made = Team(engine, ada={})
    made.save("ada", HeadAnnotation(notes="one"))
    made.save("ada", FeatureNote("x"), FeatureRef(0, 3))
    check_store(engine)
    return made


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize("table", [FeatureRow, FeatureExamplesRow, HeadAttentionRow])
@pytest.mark.parametrize("change", [flipped, lambda data: data[:-3], lambda _: b"\x00\x11"])
def test_f10_one_flipped_bit_of_a_block_is_found_with_its_place(team: Team, table, change) -> None:
    with write_session(team.engine) as session:
        row = session.query(table).first()
        row.data = change(row.data)
    with pytest.raises(
        InvalidStore, match=rf"the block of '{table.__tablename__}' at \(1, 0, \d+\) cannot be read"
    ):
        check_store(team.engine)


def first_of(session, row):
    return session.query(row).order_by(*inspect(row).primary_key).first()


def test_f10_tokens_that_are_not_those_of_the_run_are_found(team: Team) -> None:
    def changed(row, name, change):
        with write_session(team.engine) as session:
            first = first_of(session, row)
            before = getattr(first, name)
            setattr(first, name, change(before))
        with pytest.raises(InvalidStore) as caught:
            check_store(team.engine)
        with write_session(team.engine) as session:
            setattr(first_of(session, row), name, before)
        check_store(team.engine)
        return str(caught.value)

    assert "has another checksum" in changed(VocabularyRow, "data", flipped)
    for change in (
        lambda data: data[:-4],
        lambda data: data[:-1] + b"\x7f",
        lambda data: data[:-4] + b"\xff" * 4,
    ):
        assert "is not one of" in changed(SequenceRow, "token_ids", change)


def test_f10_a_second_look_is_read_as_the_record_of_a_head(team: Team) -> None:
    with write_session(team.engine) as session:
        session.execute(
            update(RevisionRow).where(RevisionRow.kind == "head").values(kind="second", content={"groups": 3})
        )
    with pytest.raises(InvalidStore, match=r"revision \d of the annotations cannot be read"):
        check_store(team.engine)


@pytest.mark.parametrize("kind", ["head", "feature"])
@pytest.mark.parametrize("content", [[], "text", {"groups": 3}, {"label": 3}])
def test_f10_a_label_that_is_none_is_found(team: Team, kind: str, content: object) -> None:
    with write_session(team.engine) as session:
        session.execute(update(RevisionRow).where(RevisionRow.kind == kind).values(content=content))
    with pytest.raises(InvalidStore, match=r"revision \d of the annotations cannot be read"):
        check_store(team.engine)


# What Postgres keeps from being stored; SQLite takes any bytes, as a disk may give them.
CELLS = {
    "run_reports.details": ("CAST(zeroblob(8) AS TEXT)", lambda session: session.query(RunReportRow).first()),
    "runs.plan": ("'{'", lambda session: session.query(RunRow).first()),
    "runs.model_name": ("CAST(x'74ff78' AS TEXT)", lambda session: session.query(RunRow).first()),
    "annotation_revisions.content": ("'{\"groups\": ['", lambda session: session.query(RevisionRow).first()),
}


@pytest.mark.parametrize("cell", [*CELLS, "run_reports.created_at"])
def test_f10_a_cell_that_is_no_text_json_or_time_is_found_and_no_crash(make_sqlite_store, cell: str) -> None:
    engine = open_store(make_sqlite_store())
    made = Team(engine, ada={})
    made.save("ada", HeadAnnotation(notes="one"))
    check_store(engine)
    value, read = CELLS.get(cell, ("'yesterday'", None))
    table, column = cell.split(".")
    with write_session(engine) as session:
        session.execute(text(f"UPDATE {table} SET {column} = {value}"))  # noqa: S608 - of this file
    with pytest.raises(InvalidStore, match="is damaged"):
        check_store(engine)
    if read is not None:  # so a page is answered with 503 and the sentence
        with pytest.raises(InvalidStore, match="the store is damaged"), read_session(engine) as session:
            read(session)
    engine.dispose()
