"""The tables of annotations. A change here needs a migration; tests compare tables and migrations on both engines."""

from datetime import datetime
from typing import Annotated

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.records import Json
from app.store.database.column_types import NameText
from app.store.tables.atlas import IDS_ONCE, Base

Name = Annotated[str, mapped_column(NameText)]


class AnnotatorRow(Base):
    """A person, or the consensus. Rows are never deleted: what they wrote keeps its author."""

    __tablename__ = "annotators"
    __table_args__ = (CheckConstraint("role IN ('viewer', 'annotator', 'admin', 'system')", name="role"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[Name] = mapped_column(unique=True)
    role: Mapped[str]
    blind: Mapped[bool]
    password_hash: Mapped[str | None]
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class SessionRow(Base):
    """One login. Only the sha256 of its token is kept, so that a copy of the store opens no session."""

    __tablename__ = "annotator_sessions"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class RevisionRow(Base):
    """One state of one annotator's record of one head or feature. Rows are only ever added.

    The record is the row with the largest version.
    The kind `second` is an annotator's second look at a head. `sae` is the SAE's checksum for a feature and empty for
    a head.
    """

    __tablename__ = "annotation_revisions"
    __table_args__ = (
        CheckConstraint("kind IN ('head', 'feature', 'second')", name="kind"),
        CheckConstraint("status IN ('draft', 'submitted', 'unsure', 'skipped')", name="status"),
        # Named here: the name by convention would be longer than Postgres takes.
        UniqueConstraint(
            *("atlas_id", "kind", "layer", "unit", "sae", "annotator_id", "version"),
            name="uq_annotation_revisions_version",
        ),
        UniqueConstraint(
            *("atlas_id", "annotator_id", "kind", "layer", "unit", "sae", "idempotency_key"),
            name="uq_annotation_revisions_idempotency_key",
        ),
        Index(None, "annotator_id"),
        Index(None, "author_id"),
        IDS_ONCE,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    atlas_id: Mapped[int] = mapped_column(ForeignKey("atlases.id"))
    kind: Mapped[Name]
    layer: Mapped[int]
    unit: Mapped[int]
    sae: Mapped[Name]
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"))
    version: Mapped[int]
    author_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"))
    idempotency_key: Mapped[Name]
    base_version: Mapped[int]
    status: Mapped[Name]
    content: Mapped[dict[str, Json]] = mapped_column(JSON)
    against_run: Mapped[Name]
    against_sae: Mapped[Name]
    software: Mapped[Name]
    blind: Mapped[bool]
    restored_from: Mapped[int | None]
    created_at: Mapped[datetime]
    imported_at: Mapped[datetime | None]


class RevealedHintRow(Base):
    """The fact that an annotator looked at what is known of a head before submitting their own record."""

    __tablename__ = "revealed_hints"

    atlas_id: Mapped[int] = mapped_column(ForeignKey("atlases.id"), primary_key=True, autoincrement=False)
    layer: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    head: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    annotator_id: Mapped[int] = mapped_column(
        ForeignKey("annotators.id"), primary_key=True, autoincrement=False
    )
    revealed_at: Mapped[datetime]
