"""The tables of experiments. A change here needs a migration; the tests compare the two on both engines."""

from datetime import datetime

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, deferred, mapped_column

from app.domain.records import Json
from app.store.tables.atlas import Base


class ExperimentRow(Base):
    """One experiment: what was asked, how it went, and once it is done its result."""

    __tablename__ = "experiments"
    __table_args__ = (
        CheckConstraint("state IN ('running', 'done', 'failed')", name="state"),
        Index(None, "atlas_id", "created_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    atlas_id: Mapped[int] = mapped_column(ForeignKey("atlases.id", ondelete="CASCADE"))
    name: Mapped[str]
    parameters: Mapped[dict[str, Json]] = mapped_column(JSON)
    seed: Mapped[int]
    model_name: Mapped[str]
    model_revision: Mapped[str]
    processing: Mapped[str]
    run: Mapped[str]
    software: Mapped[str]
    state: Mapped[str]
    created_at: Mapped[datetime]
    seconds: Mapped[float | None]
    message: Mapped[str]
    finding: Mapped[str]
    # Lists do without it: it may be megabytes.
    result: Mapped[dict[str, Json] | None] = deferred(mapped_column(JSON(none_as_null=True)))


class ExperimentHeadRow(Base):
    """What an experiment found of one head."""

    __tablename__ = "experiment_heads"
    __table_args__ = (Index(None, "layer", "head"), {"sqlite_with_rowid": False})

    experiment_id: Mapped[str] = mapped_column(
        ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True
    )
    layer: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    head: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    finding: Mapped[str]
