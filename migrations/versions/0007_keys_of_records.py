"""Idempotency keys belong to a record: one annotator's, of one head or feature, of one atlas."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLE, NAME = "annotation_revisions", "uq_annotation_revisions_idempotency_key"
KEY = ["atlas_id", "annotator_id", "kind", "layer", "unit", "sae", "idempotency_key"]
# Rebuilding a table on SQLite drops what the engine does not tell of it.
CHECKS = (
    sa.CheckConstraint("kind IN ('head', 'feature')", name="ck_annotation_revisions_kind"),
    sa.CheckConstraint(
        "status IN ('draft', 'submitted', 'unsure', 'skipped')", name="ck_annotation_revisions_status"
    ),
)


def upgrade() -> None:
    _replace(KEY)


def downgrade() -> None:
    # Keys that are one text in two records get one that no form sends.
    op.execute(
        f"UPDATE {TABLE} SET idempotency_key = 'revision ' || id WHERE id NOT IN "  # noqa: S608
        f"(SELECT min(id) FROM {TABLE} GROUP BY idempotency_key)"
    )
    _replace(["idempotency_key"])


def _replace(columns: list[str]) -> None:
    if op.get_context().dialect.name == "postgresql":
        op.drop_constraint(NAME, TABLE)
        op.create_unique_constraint(NAME, TABLE, columns)
        return
    with op.batch_alter_table(TABLE, table_args=CHECKS) as batch:
        batch.drop_constraint(NAME)
        batch.create_unique_constraint(NAME, columns)
