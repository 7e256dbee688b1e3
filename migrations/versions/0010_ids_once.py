"""Ids are given once: SQLite would give the largest id again after its row was removed, Postgres never does.

A job may still write under the id of a run that was removed, and a browser may hold a page under the id of a revision.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Whether a rebuilt table on SQLite keeps its checks depends on the libraries' versions, so all are stated here.
CHECKS = {
    "atlases": {},
    "runs": {"ck_runs_state": "state IN ('publishing', 'live')"},
    "annotation_revisions": {
        "ck_annotation_revisions_kind": "kind IN ('head', 'feature', 'second')",
        "ck_annotation_revisions_status": "status IN ('draft', 'submitted', 'unsure', 'skipped')",
    },
}


def upgrade() -> None:
    _rebuild(autoincrement=True)


def downgrade() -> None:
    _rebuild(autoincrement=False)


def _rebuild(*, autoincrement: bool) -> None:
    if op.get_context().dialect.name != "sqlite":
        return
    for name, conditions in CHECKS.items():
        table = sa.Table(name, sa.MetaData(), autoload_with=op.get_bind())
        for constraint in list(table.constraints):
            if isinstance(constraint, sa.CheckConstraint):
                table.constraints.discard(constraint)
        checks = [sa.CheckConstraint(text, name=op.f(check)) for check, text in conditions.items()]
        with op.batch_alter_table(
            name,
            copy_from=table,
            table_args=checks,
            table_kwargs={"sqlite_autoincrement": autoincrement},
            recreate="always",
        ):
            pass
