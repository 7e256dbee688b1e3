"""Annotators and their sessions, revisions of annotations, and the hints they revealed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
SUBJECT = ("atlas_id", "kind", "layer", "unit", "sae", "annotator_id", "version")


def upgrade() -> None:
    _people()
    _revisions()
    op.create_table(
        "revealed_hints",
        sa.Column("atlas_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("layer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("head", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("annotator_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["atlas_id"], ["atlases.id"], name="fk_revealed_hints_atlas_id"),
        sa.ForeignKeyConstraint(["annotator_id"], ["annotators.id"], name="fk_revealed_hints_annotator_id"),
        sa.PrimaryKeyConstraint("atlas_id", "layer", "head", "annotator_id", name="pk_revealed_hints"),
    )


def downgrade() -> None:
    for table in ("revealed_hints", "annotation_revisions", "annotator_sessions", "annotators"):
        op.drop_table(table)


def _people() -> None:
    op.create_table(
        "annotators",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("password_hash", TEXT, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('viewer', 'annotator', 'admin', 'system')", name="ck_annotators_role"),
        sa.PrimaryKeyConstraint("id", name="pk_annotators"),
        sa.UniqueConstraint("name", name="uq_annotators_name"),
    )
    op.create_table(
        "annotator_sessions",
        sa.Column("token_hash", TEXT, nullable=False),
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotators.id"], name="fk_annotator_sessions_annotator_id"
        ),
        sa.PrimaryKeyConstraint("token_hash", name="pk_annotator_sessions"),
    )
    op.create_index("ix_annotator_sessions_annotator_id", "annotator_sessions", ["annotator_id"])


def _revisions() -> None:
    op.create_table(
        "annotation_revisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("atlas_id", sa.Integer(), nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("layer", sa.Integer(), nullable=False),
        sa.Column("unit", sa.Integer(), nullable=False),
        sa.Column("sae", TEXT, nullable=False),
        sa.Column("annotator_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", TEXT, nullable=False),
        sa.Column("base_version", sa.Integer(), nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("against_run", TEXT, nullable=False),
        sa.Column("against_sae", TEXT, nullable=False),
        sa.Column("software", TEXT, nullable=False),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("restored_from", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('head', 'feature')", name="ck_annotation_revisions_kind"),
        sa.CheckConstraint(
            "status IN ('draft', 'submitted', 'unsure', 'skipped')", name="ck_annotation_revisions_status"
        ),
        sa.ForeignKeyConstraint(["atlas_id"], ["atlases.id"], name="fk_annotation_revisions_atlas_id"),
        sa.ForeignKeyConstraint(
            ["annotator_id"], ["annotators.id"], name="fk_annotation_revisions_annotator_id"
        ),
        sa.ForeignKeyConstraint(["author_id"], ["annotators.id"], name="fk_annotation_revisions_author_id"),
        sa.PrimaryKeyConstraint("id", name="pk_annotation_revisions"),
        sa.UniqueConstraint(*SUBJECT, name="uq_annotation_revisions_version"),
        sa.UniqueConstraint("idempotency_key", name="uq_annotation_revisions_idempotency_key"),
    )
    op.create_index("ix_annotation_revisions_annotator_id", "annotation_revisions", ["annotator_id"])
    op.create_index("ix_annotation_revisions_author_id", "annotation_revisions", ["author_id"])
