"""Indexes in the order of what search finds: the largest logit, the most examples first."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TOKENS = ["run_id", "token_id", "sign", "logit", "layer", "feature_index", "head"]
WORDS = ["run_id", "word", "count", "layer", "feature_index", "head"]


def upgrade() -> None:
    op.create_index("ix_feature_tokens_logit", "feature_tokens", TOKENS)
    op.create_index("ix_feature_words_count", "feature_words", WORDS)


def downgrade() -> None:
    op.drop_index("ix_feature_words_count", "feature_words")
    op.drop_index("ix_feature_tokens_logit", "feature_tokens")
