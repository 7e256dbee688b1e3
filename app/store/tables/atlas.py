"""The tables. A change here needs a migration; the tests compare the two on both engines."""

from datetime import datetime

from sqlalchemy import JSON, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.domain.records import Json
from app.store.database.column_types import BigWhole, Finite, FiniteOrNull, Text, UtcDateTime, Whole

_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
# Small rows that are only read by key: SQLite then keeps them in key order, without a second lookup.
_BY_KEY = {"sqlite_with_rowid": False}
# Ids that are known outside of the store for longer than a transaction: no other row ever gets one, as on Postgres.
IDS_ONCE = {"sqlite_autoincrement": True}


class Base(DeclarativeBase):
    """Named constraints, so that a migration can change them on every engine."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {str: Text, int: Whole, float: Finite, datetime: UtcDateTime}  # noqa: RUF012 - SQLAlchemy's own form


def _run_id() -> Mapped[int]:
    return mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False)


def _key() -> Mapped[int]:
    return mapped_column(primary_key=True, autoincrement=False)


class AtlasRow(Base):
    """One model with at most one SAE per layer."""

    __tablename__ = "atlases"
    __table_args__ = IDS_ONCE

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    # No foreign key: runs refer to atlases already, and SQLite cannot add the second half of such a circle.
    live_run_id: Mapped[int | None] = mapped_column(unique=True)


class RunRow(Base):
    """One precompute run; only what is the same for every machine, clock and executor."""

    __tablename__ = "runs"
    __table_args__ = (CheckConstraint("state IN ('publishing', 'live')", name="state"), IDS_ONCE)

    id: Mapped[int] = mapped_column(primary_key=True)
    atlas_id: Mapped[int] = mapped_column(ForeignKey("atlases.id", ondelete="CASCADE"), index=True)
    state: Mapped[str]
    fingerprint: Mapped[str]
    model_name: Mapped[str]
    model_revision: Mapped[str]
    n_layers: Mapped[int]
    n_heads: Mapped[int]
    n_key_value_heads: Mapped[int]
    d_head: Mapped[int]
    d_model: Mapped[int]
    d_vocab: Mapped[int]
    bos_token_id: Mapped[int]
    corpus: Mapped[str]
    context_size: Mapped[int]
    n_sequences: Mapped[int]
    n_tokens: Mapped[int] = mapped_column(BigWhole)
    plan: Mapped[dict[str, Json]] = mapped_column(JSON)
    vocabulary: Mapped[str | None] = mapped_column(ForeignKey("vocabularies.checksum"), index=True)


class RunReportRow(Base):
    """What a run cost in time and memory, and when it ran."""

    __tablename__ = "run_reports"

    run_id: Mapped[int] = _run_id()
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    seconds: Mapped[float]
    executor: Mapped[str]
    workers: Mapped[int]
    peak_memory_bytes: Mapped[int] = mapped_column(BigWhole)
    details: Mapped[dict[str, Json]] = mapped_column(JSON)


class SaeRow(Base):
    """The SAE of one layer of a run."""

    __tablename__ = "saes"
    __table_args__ = _BY_KEY

    run_id: Mapped[int] = _run_id()
    layer: Mapped[int] = _key()
    name: Mapped[str]
    checksum: Mapped[str]
    architecture: Mapped[str]
    d_in: Mapped[int]
    d_sae: Mapped[int]
    hook_name: Mapped[str]
    processing: Mapped[str]
    normalize_activations: Mapped[str]
    l0: Mapped[float]
    fvu: Mapped[float]
    n_dead: Mapped[int]
    n_rare: Mapped[int]
    neuronpedia_id: Mapped[str | None]


class VocabularyRow(Base):
    """The bytes of every token of a tokenizer, shared by the runs that use it."""

    __tablename__ = "vocabularies"

    checksum: Mapped[str] = mapped_column(primary_key=True)
    data: Mapped[bytes]


class SequenceRow(Base):
    """One corpus sequence: little-endian int32 token ids, BOS first, and the documents that they are from."""

    __tablename__ = "sequences"

    run_id: Mapped[int] = _run_id()
    sequence_index: Mapped[int] = _key()
    token_ids: Mapped[bytes]
    # DocumentStart.as_json of each; NULL in runs from before they were kept.
    documents: Mapped[list[Json] | None] = mapped_column(JSON(none_as_null=True))


class HeadRow(Base):
    """One head; the numbers about its features are NULL where its layer has no SAE."""

    __tablename__ = "heads"
    __table_args__ = _BY_KEY

    run_id: Mapped[int] = _run_id()
    layer: Mapped[int] = _key()
    head: Mapped[int] = _key()
    concentration: Mapped[float | None] = mapped_column(FiniteOrNull)
    rank_correlation: Mapped[float | None] = mapped_column(FiniteOrNull)
    top_overlap: Mapped[int | None]


class HeadScoreRow(Base):
    """One named score of one head."""

    __tablename__ = "head_scores"
    __table_args__ = (
        ForeignKeyConstraint(
            ["run_id", "layer", "head"], ["heads.run_id", "heads.layer", "heads.head"], ondelete="CASCADE"
        ),
        Index(None, "run_id", "name", "value"),
        _BY_KEY,
    )

    run_id: Mapped[int] = _key()
    layer: Mapped[int] = _key()
    head: Mapped[int] = _key()
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float]


class HeadAttentionRow(Base):
    """What one head attends to, as one block; runs published before it was stored have none."""

    __tablename__ = "head_attention"
    __table_args__ = (
        ForeignKeyConstraint(
            ["run_id", "layer", "head"], ["heads.run_id", "heads.layer", "heads.head"], ondelete="CASCADE"
        ),
    )

    run_id: Mapped[int] = _key()
    layer: Mapped[int] = _key()
    head: Mapped[int] = _key()
    data: Mapped[bytes]


class FeatureRow(Base):
    """One feature: the numbers of the whole feature as columns, the rest as one block."""

    __tablename__ = "features"

    run_id: Mapped[int] = _run_id()
    layer: Mapped[int] = _key()
    feature_index: Mapped[int] = _key()
    n_active: Mapped[int] = mapped_column(BigWhole)
    density: Mapped[float]
    mean_activation: Mapped[float]
    max_activation: Mapped[float]
    worst_residual: Mapped[float]
    data: Mapped[bytes]


class FeatureExamplesRow(Base):
    """All examples of one feature as one block, apart from it so that listings stay cheap."""

    __tablename__ = "feature_examples"
    __table_args__ = (
        ForeignKeyConstraint(
            ["run_id", "layer", "feature_index"],
            ["features.run_id", "features.layer", "features.feature_index"],
            ondelete="CASCADE",
        ),
    )

    run_id: Mapped[int] = _key()
    layer: Mapped[int] = _key()
    feature_index: Mapped[int] = _key()
    data: Mapped[bytes]


class RankedFeatureRow(Base):
    """One place in one head's ranking."""

    __tablename__ = "rankings"
    __table_args__ = (
        ForeignKeyConstraint(
            ["run_id", "layer", "head"], ["heads.run_id", "heads.layer", "heads.head"], ondelete="CASCADE"
        ),
        _BY_KEY,
    )

    run_id: Mapped[int] = _key()
    layer: Mapped[int] = _key()
    head: Mapped[int] = _key()
    ranking: Mapped[str] = mapped_column(primary_key=True)
    rank: Mapped[int] = _key()
    feature_index: Mapped[int]
    value: Mapped[float]
    other_rank: Mapped[int]


class JobProgressRow(Base):
    """How far each stage of each job is. Not tied to a run: a job starts before its run exists."""

    __tablename__ = "job_progress"

    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    stage: Mapped[str] = mapped_column(primary_key=True)
    done: Mapped[int] = mapped_column(BigWhole)
    total: Mapped[int | None] = mapped_column(BigWhole)
    unit: Mapped[str]
    rate: Mapped[float | None] = mapped_column(FiniteOrNull)
    updated_at: Mapped[datetime]
    state: Mapped[str]


# What a run consists of, in an order in which rows can be written.
RUN_TABLES = (
    SaeRow,
    SequenceRow,
    HeadRow,
    HeadScoreRow,
    HeadAttentionRow,
    FeatureRow,
    FeatureExamplesRow,
    RankedFeatureRow,
)
