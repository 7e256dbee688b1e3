"""Rows that go to the driver past SQLAlchemy: the same values, checks and errors, on both engines."""

from collections.abc import Callable

import numpy as np
import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.errors import StoreBusy
from app.store.database.column_types import UnstorableText
from app.store.database.engine import open_store, read_session, write_session
from app.store.database.inserts import insert_columns, insert_rows
from app.store.tables.atlas import VocabularyRow
from app.store.tables.search import FeatureTokenRow, FeatureWordRow
from tests.support.stored_runs import publish

TOKEN = {"layer": 1, "head": 99, "logit": 0.1}


def _word(run_id: int, word: str, **other: object) -> dict[str, object]:
    return {"run_id": run_id, "word": word, "layer": 1, "feature_index": 7, "head": 0, "count": 2} | other


def test_rows_come_back_as_they_were(engine: Engine):
    run_id = publish(engine)
    words = ['tab\there, quote " and \\N', "naïve", "日本", "a" * 40, "\\."]
    data = bytes(range(256)) * 3
    logits = [0.1, float(np.float32(1 / 3)), 1e-300, -1.7976931348623157e308]
    with write_session(engine) as session:
        insert_rows(session, FeatureWordRow, (_word(run_id, word, count=i) for i, word in enumerate(words)))
        insert_rows(session, VocabularyRow, [{"data": data, "checksum": "of all bytes"}])
        tokens = ({**TOKEN, "run_id": run_id, "token_id": i, "sign": -1, "feature_index": np.int64(i), "logit": logit}
                  for i, logit in enumerate(logits))  # fmt: skip
        insert_rows(session, FeatureTokenRow, tokens)
        insert_rows(session, FeatureTokenRow, [])
    with read_session(engine) as session:
        of_run = (
            FeatureWordRow.run_id == run_id,
            FeatureWordRow.feature_index == 7,
            FeatureWordRow.layer == 1,
        )
        stored = session.execute(
            select(FeatureWordRow.word, FeatureWordRow.count).where(*of_run).order_by(FeatureWordRow.count)
        )
        assert [tuple(row) for row in stored] == [(word, i) for i, word in enumerate(words)]
        assert (
            session.scalar(select(VocabularyRow.data).where(VocabularyRow.checksum == "of all bytes")) == data
        )
        found = select(FeatureTokenRow.logit, FeatureTokenRow.feature_index).where(FeatureTokenRow.sign == -1)
        mine = found.where(
            FeatureTokenRow.head == 99, FeatureTokenRow.token_id == FeatureTokenRow.feature_index
        )
        assert sorted(tuple(row) for row in session.execute(mine)) == sorted(
            zip(logits, range(4), strict=True)
        )


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"word": "a\0b"}, UnstorableText),
        ({"word": "\ud800"}, UnstorableText),
        ({"count": 1.5}, TypeError),
        ({"count": None}, IntegrityError),
        ({"run_id": 10**6}, IntegrityError),
    ],
)  # fmt: skip
def test_what_no_column_takes_is_refused_and_nothing_is_stored(engine, values, error):
    run_id = publish(engine)
    with pytest.raises(error), write_session(engine) as session:
        insert_rows(session, FeatureWordRow, [_word(run_id, "good"), _word(run_id, "bad") | values])
    with read_session(engine) as session:
        assert session.scalar(select(FeatureWordRow).where(FeatureWordRow.word == "good")) is None


def test_a_number_that_is_none_is_refused(engine):
    row = {**TOKEN, "run_id": publish(engine), "token_id": 1, "sign": 1, "feature_index": 9}
    for logit in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"), write_session(engine) as session:
            insert_rows(session, FeatureTokenRow, [{**row, "logit": logit}])


def test_a_row_twice_and_a_row_that_lacks_a_column_are_refused(engine):
    run_id = publish(engine)
    with pytest.raises(IntegrityError), write_session(engine) as session:
        insert_rows(session, FeatureWordRow, [_word(run_id, "twice")] * 2)
    short = {name: value for name, value in _word(run_id, "short").items() if name != "head"}
    with pytest.raises(KeyError, match="head"), write_session(engine) as session:
        insert_rows(session, FeatureWordRow, [_word(run_id, "whole"), short])


def test_columns_are_stored_as_rows_are_and_must_be_as_long(engine):
    run_id = publish(engine)
    rows = [_word(run_id, word, count=count) for word, count in (("one", np.int64(1)), ("two", 2))]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    with write_session(engine) as session:
        insert_columns(session, FeatureWordRow, {name: [] for name in columns})
        insert_columns(session, FeatureWordRow, columns)
    with read_session(engine) as session:
        counts = select(FeatureWordRow.word, FeatureWordRow.count).where(
            FeatureWordRow.word.in_(columns["word"])
        )
        assert sorted(tuple(row) for row in session.execute(counts)) == [("one", 1), ("two", 2)]
    for name, values in (("head", [0]), ("layer", [1, True, 1])):
        with pytest.raises(ValueError, match="zip"), write_session(engine) as session:
            insert_columns(session, FeatureWordRow, columns | {name: values})
    with pytest.raises(TypeError), write_session(engine) as session:
        insert_columns(session, FeatureWordRow, columns | {"count": [3, 2.0]})


def insert_after(event: Callable[[Session], None], session: Session, rows: list[dict[str, object]]) -> None:
    event(session)
    insert_rows(session, FeatureWordRow, rows)


def test_a_server_that_goes_while_rows_are_copied_is_one_sentence(make_postgres_store):
    engine = open_store(make_postgres_store())
    run_id = publish(engine)

    def lose_the_server(session: Session) -> None:
        mine = session.scalar(text("SELECT pg_backend_pid()"))
        with engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": mine})

    with pytest.raises(StoreBusy, match="cannot be reached"), write_session(engine) as session:
        insert_after(lose_the_server, session, [_word(run_id, "first"), _word(run_id, "second")])
    with read_session(engine) as session:
        assert session.scalar(select(FeatureWordRow).where(FeatureWordRow.word == "first")) is None
    engine.dispose()
