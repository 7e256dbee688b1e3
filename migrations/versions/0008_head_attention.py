"""What each head attends to, SAE or not: a block per head."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KEY = ["run_id", "layer", "head"]


def upgrade() -> None:
    op.create_table(
        "head_attention",
        *(sa.Column(name, sa.Integer(), autoincrement=False, nullable=False) for name in KEY),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            KEY,
            [f"heads.{name}" for name in KEY],
            name="fk_head_attention_run_id_layer_head",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(*KEY, name="pk_head_attention"),
    )


def downgrade() -> None:
    op.drop_table("head_attention")
