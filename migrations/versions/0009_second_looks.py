"""Records of a kind of their own: an annotator's second look at a head, beside the first."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLE, NAME = "annotation_revisions", "ck_annotation_revisions_kind"
STATUSES = "status IN ('draft', 'submitted', 'unsure', 'skipped')"


def upgrade() -> None:
    _replace("kind IN ('head', 'feature', 'second')")


def downgrade() -> None:
    # An earlier version has no place for them.
    op.execute(f"DELETE FROM {TABLE} WHERE kind = 'second'")  # noqa: S608
    _replace("kind IN ('head', 'feature')")


def _replace(condition: str) -> None:
    if op.get_context().dialect.name == "postgresql":
        op.drop_constraint(NAME, TABLE, type_="check")
        op.create_check_constraint(NAME, TABLE, condition)
        return
    # Whether a rebuilt table on SQLite keeps its checks depends on the libraries' versions, so all are stated here.
    table = sa.Table(TABLE, sa.MetaData(), autoload_with=op.get_bind())
    for constraint in list(table.constraints):
        if isinstance(constraint, sa.CheckConstraint):
            table.constraints.discard(constraint)
    checks = (
        sa.CheckConstraint(condition, name=op.f(NAME)),
        sa.CheckConstraint(STATUSES, name=op.f("ck_annotation_revisions_status")),
    )
    with op.batch_alter_table(TABLE, copy_from=table, table_args=checks, recreate="always"):
        pass
