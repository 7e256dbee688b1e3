"""Experiments, and what they found of each head."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("atlas_id", sa.Integer(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("model_name", TEXT, nullable=False),
        sa.Column("model_revision", TEXT, nullable=False),
        sa.Column("processing", TEXT, nullable=False),
        sa.Column("run", TEXT, nullable=False),
        sa.Column("software", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("finding", TEXT, nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.CheckConstraint("state IN ('running', 'done', 'failed')", name="ck_experiments_state"),
        sa.ForeignKeyConstraint(
            ["atlas_id"], ["atlases.id"], name="fk_experiments_atlas_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_experiments"),
    )
    op.create_index("ix_experiments_atlas_id_created_at", "experiments", ["atlas_id", "created_at"])
    op.create_table(
        "experiment_heads",
        sa.Column("experiment_id", TEXT, nullable=False),
        sa.Column("layer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("head", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("finding", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name="fk_experiment_heads_experiment_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("experiment_id", "layer", "head", name="pk_experiment_heads"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_experiment_heads_layer_head", "experiment_heads", ["layer", "head"])


def downgrade() -> None:
    op.drop_table("experiment_heads")
    op.drop_table("experiments")
