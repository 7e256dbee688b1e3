"""What search reads: the tokens, words and evidence of features."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "feature_tokens",
        _key("run_id"),
        _key("token_id"),
        _key("sign"),
        _key("layer"),
        _key("feature_index"),
        sa.Column("head", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("logit", sa.Double(), nullable=False),
        sa.CheckConstraint("sign IN (-1, 1)", name="ck_feature_tokens_sign"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_feature_tokens_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint(
            "run_id", "token_id", "sign", "layer", "feature_index", name="pk_feature_tokens"
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "feature_words",
        _key("run_id"),
        sa.Column("word", TEXT, nullable=False),
        _key("layer"),
        _key("feature_index"),
        sa.Column("head", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_feature_words_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "word", "layer", "feature_index", name="pk_feature_words"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "feature_evidence",
        _key("run_id"),
        sa.Column("kind", TEXT, nullable=False),
        _key("layer"),
        _key("feature_index"),
        _key("head"),
        sa.Column("share", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name="fk_feature_evidence_run_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "run_id", "kind", "layer", "feature_index", "head", name="pk_feature_evidence"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_feature_evidence_run_id_kind_share", "feature_evidence", ["run_id", "kind", "share"])


def downgrade() -> None:
    for table in ("feature_evidence", "feature_words", "feature_tokens"):
        op.drop_table(table)


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), autoincrement=False, nullable=False)
