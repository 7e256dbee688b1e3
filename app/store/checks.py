"""The check of a whole store: its file, its schema, and every row of it."""

import hashlib
import json
from pathlib import Path

import numpy as np
from sqlalchemy import Engine, LargeBinary, Text, cast, func, inspect, select
from sqlalchemy.orm import Session

from app.domain.annotations.json_form import head_from_json, note_from_json
from app.errors import AppError, InvalidStore
from app.store.atlas.blobs import unpack
from app.store.database.engine import read_session
from app.store.database.errors import translated
from app.store.database.schema_versions import check_current, check_schema
from app.store.database.sqlite import check_content
from app.store.database.store_names import store_name
from app.store.tables import experiments, search
from app.store.tables.annotations import RevisionRow
from app.store.tables.atlas import (
    AtlasRow,
    Base,
    FeatureExamplesRow,
    FeatureRow,
    HeadAttentionRow,
    HeadRow,
    RunRow,
    SequenceRow,
    VocabularyRow,
)

# What they add to the metadata of tables is looked at below.
_ = experiments, search
_IN_PARTS = {"yield_per": 200}


def check_store(engine: Engine) -> None:
    """Read the whole store through. Raises InvalidStore when it is damaged, empty, or not of this version."""
    name = store_name(engine)
    with translated(name):
        if engine.dialect.name == "sqlite":
            check_content(engine, Path(str(engine.url.database)), limit=None)
        check_schema(engine, name)
        check_current(engine, name)
    with read_session(engine) as session:
        _check_rows(session, name)


def _check_rows(session: Session, name: str) -> None:
    """Read every table through. Raises InvalidStore for one that is missing, or a row without what it refers to."""
    there = set(inspect(session.connection()).get_table_names())
    for table in Base.metadata.sorted_tables:
        if table.name not in there:
            raise InvalidStore(
                f"{name} is damaged: it lacks the table {table.name!r}; restore it from a backup"
            )
        session.scalar(select(func.count()).select_from(table))
        for key in table.foreign_keys:
            orphan = select(func.count()).where(
                key.parent.is_not(None), key.parent.not_in(select(key.column))
            )
            if n := session.scalar(orphan):
                raise InvalidStore(
                    f"{name} is damaged: {n} rows of {table.name!r} refer to nothing; restore it from a backup"
                )
    live = select(AtlasRow.slug).where(
        AtlasRow.live_run_id.is_not(None),
        AtlasRow.live_run_id.not_in(select(RunRow.id).where(RunRow.state == "live")),
    )
    if slug := session.scalar(live):
        raise InvalidStore(
            f"{name} is damaged: the atlas {slug!r} shows a run that is not there; restore it from a backup"
        )
    _check_cells(session, name)
    _check_runs(session, name)
    _check_blocks(session, name)
    _check_texts(session, name)
    _check_records(session, name)


def _check_cells(session: Session, name: str) -> None:
    """Read every cell but blocks, as pages do. Raises InvalidStore for text, JSON or a time that is none."""
    for table in Base.metadata.sorted_tables:
        columns = [column for column in table.columns if not isinstance(column.type, LargeBinary)]
        try:
            with session.execute(select(*columns), execution_options=_IN_PARTS) as rows:
                for _ in rows:
                    pass
        except (InvalidStore, ValueError, TypeError) as error:
            raise InvalidStore(
                f"{name} is damaged: a row of {table.name!r} cannot be read; restore it from a backup"
            ) from error


def _check_blocks(session: Session, name: str) -> None:
    """Unpack every stored block, each of which has a checksum. Raises InvalidStore with the place of a damaged one."""
    for table in (FeatureRow, FeatureExamplesRow, HeadAttentionRow):
        keys = inspect(table).primary_key
        with session.execute(select(*keys, table.data), execution_options=_IN_PARTS) as rows:
            for *key, blob in rows:
                try:
                    unpack(blob)
                except InvalidStore as error:
                    raise InvalidStore(
                        f"{name} is damaged: the block of {table.__tablename__!r} at {tuple(key)} cannot be read "
                        f"({error}); restore it from a backup, or precompute the run again"
                    ) from error


def _check_texts(session: Session, name: str) -> None:
    """Read the tokens of every vocabulary and sequence. Raises InvalidStore for one that is damaged."""
    with session.execute(
        select(VocabularyRow.checksum, VocabularyRow.data), execution_options=_IN_PARTS
    ) as rows:
        for checksum, data in rows:
            if hashlib.sha256(data).hexdigest() != checksum:
                raise InvalidStore(
                    f"{name} is damaged: the vocabulary {checksum[:16]} has another checksum; "
                    "restore it from a backup, or precompute the run again"
                )
    of_run = (RunRow.fingerprint, RunRow.context_size, RunRow.d_vocab)
    sequences = select(*of_run, SequenceRow.sequence_index, SequenceRow.token_ids).join(
        RunRow, RunRow.id == SequenceRow.run_id
    )
    with session.execute(sequences, execution_options=_IN_PARTS) as rows:
        for fingerprint, context, d_vocab, index, data in rows:
            if len(data) != 4 * context or not _are_ids(data, d_vocab):
                raise InvalidStore(
                    f"{name} is damaged: sequence {index} of run {fingerprint} is not one of {context} tokens; "
                    "restore it from a backup, or precompute the run again"
                )


def _are_ids(data: bytes, d_vocab: int) -> bool:
    ids = np.frombuffer(data, "<i4")
    return not len(ids) or (int(ids.min()) >= 0 and int(ids.max()) < d_vocab)


def _check_records(session: Session, name: str) -> None:
    """Read every revision of an annotation. Raises InvalidStore for one that cannot be read."""
    query = select(RevisionRow.id, RevisionRow.kind, cast(RevisionRow.content, Text))
    with session.execute(query, execution_options=_IN_PARTS) as rows:
        for row_id, kind, text in rows:
            try:
                content = json.loads(text)
                _ = note_from_json(content) if kind == "feature" else head_from_json(content)
            except (AppError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise InvalidStore(
                    f"{name} is damaged: revision {row_id} of the annotations cannot be read; restore it from a backup"
                ) from error


def _check_runs(session: Session, name: str) -> None:
    """Count what each live run says that it holds. Raises InvalidStore for one that holds less or more."""
    for run in session.scalars(select(RunRow).where(RunRow.state == "live")):
        expected = {SequenceRow: run.n_sequences, HeadRow: run.n_layers * run.n_heads}
        for table, n_expected in expected.items():
            n = session.scalar(select(func.count()).where(table.run_id == run.id))
            if n != n_expected:
                raise InvalidStore(
                    f"{name} is damaged: run {run.fingerprint} has {n} rows of {table.__tablename__!r} "
                    f"in place of {n_expected}; restore it from a backup, or precompute the run again"
                )
