"""Rows of search are kept in the order of its results, for which they had an index each; ranks, never read, go."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
TYPES = {"word": TEXT, "logit": sa.Double()}
TOKENS, WORDS = "feature_tokens", "feature_words"
RANK = (
    "row_number() OVER (PARTITION BY run_id, layer, feature_index, sign ORDER BY sign * logit DESC, token_id)"
)


def upgrade() -> None:
    _rebuild(TOKENS, ["run_id", "token_id", "sign", "logit", "layer", "feature_index"], {"head": "head"})
    _rebuild(WORDS, ["run_id", "word", "count", "layer", "feature_index"], {"head": "head"})


def downgrade() -> None:
    others = {"head": "head", "rank": RANK, "logit": "logit"}
    _rebuild(TOKENS, ["run_id", "token_id", "sign", "layer", "feature_index"], others)
    _rebuild(WORDS, ["run_id", "word", "layer", "feature_index"], {"head": "head", "count": "count"})
    in_order = ["run_id", "token_id", "sign", "logit", "layer", "feature_index", "head"]
    op.create_index("ix_feature_tokens_logit", TOKENS, in_order)
    op.create_index(
        "ix_feature_words_count", WORDS, ["run_id", "word", "count", "layer", "feature_index", "head"]
    )


def _rebuild(table: str, key: list[str], others: dict[str, str]) -> None:
    """The table with this key. others: of each column beside it, what it is in the table of before."""
    before = f"{table}_before"
    if (
        op.get_context().dialect.name == "postgresql"
    ):  # where its index keeps its name, and may not be there twice
        op.drop_constraint(f"pk_{table}", table, type_="primary")
    op.rename_table(table, before)
    checks = [sa.CheckConstraint("sign IN (-1, 1)", name="ck_feature_tokens_sign")] if table == TOKENS else []
    op.create_table(
        table,
        *(
            sa.Column(name, TYPES.get(name, sa.Integer()), autoincrement=False, nullable=False)
            for name in key
        ),
        *(sa.Column(name, TYPES.get(name, sa.Integer()), nullable=False) for name in others),
        *checks,
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=f"fk_{table}_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint(*key, name=f"pk_{table}"),
        sqlite_with_rowid=False,
    )
    values = ", ".join([*key, *others.values()])
    names, order = ", ".join([*key, *others]), ", ".join(key)
    op.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {before} ORDER BY {order}")  # noqa: S608
    op.drop_table(before)
