"""Which documents the sequences of a run are made of."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sequences", sa.Column("documents", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    op.drop_column("sequences", "documents")
