"""The first tables: atlases and their runs, SAEs, sequences, heads, features, and the progress of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Byte order on both engines; frozen here, as everything in a migration is.
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    _atlases_and_jobs()
    _runs()
    _run_details()
    _heads()
    _features()


def downgrade() -> None:
    for table in (
        "rankings",
        "feature_examples",
        "features",
        "head_scores",
        "heads",
        "sequences",
        "saes",
        "run_reports",
        "runs",
        "job_progress",
        "vocabularies",
        "atlases",
    ):
        op.drop_table(table)


def _atlases_and_jobs() -> None:
    op.create_table(
        "atlases",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slug", TEXT, nullable=False),
        sa.Column("live_run_id", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_atlases"),
        sa.UniqueConstraint("live_run_id", name="uq_atlases_live_run_id"),
        sa.UniqueConstraint("slug", name="uq_atlases_slug"),
    )
    op.create_table(
        "vocabularies",
        sa.Column("checksum", TEXT, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("checksum", name="pk_vocabularies"),
    )
    op.create_table(
        "job_progress",
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("stage", TEXT, nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("unit", TEXT, nullable=False),
        sa.Column("rate", sa.Double(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", "stage", name="pk_job_progress"),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("atlas_id", sa.Integer(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("model_name", TEXT, nullable=False),
        sa.Column("model_revision", TEXT, nullable=False),
        sa.Column("n_layers", sa.Integer(), nullable=False),
        sa.Column("n_heads", sa.Integer(), nullable=False),
        sa.Column("n_key_value_heads", sa.Integer(), nullable=False),
        sa.Column("d_head", sa.Integer(), nullable=False),
        sa.Column("d_model", sa.Integer(), nullable=False),
        sa.Column("d_vocab", sa.Integer(), nullable=False),
        sa.Column("bos_token_id", sa.Integer(), nullable=False),
        sa.Column("corpus", TEXT, nullable=False),
        sa.Column("context_size", sa.Integer(), nullable=False),
        sa.Column("n_sequences", sa.Integer(), nullable=False),
        sa.Column("n_tokens", sa.BigInteger(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("vocabulary", TEXT, nullable=True),
        sa.CheckConstraint("state IN ('publishing', 'live')", name="ck_runs_state"),
        sa.ForeignKeyConstraint(["atlas_id"], ["atlases.id"], name="fk_runs_atlas_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["vocabulary"], ["vocabularies.checksum"], name="fk_runs_vocabulary"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_atlas_id", "runs", ["atlas_id"])
    op.create_index("ix_runs_vocabulary", "runs", ["vocabulary"])


def _run_details() -> None:
    op.create_table(
        "run_reports",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("executor", TEXT, nullable=False),
        sa.Column("workers", sa.Integer(), nullable=False),
        sa.Column("peak_memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_reports_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name="pk_run_reports"),
    )
    op.create_table(
        "saes",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("layer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("checksum", TEXT, nullable=False),
        sa.Column("architecture", TEXT, nullable=False),
        sa.Column("d_in", sa.Integer(), nullable=False),
        sa.Column("d_sae", sa.Integer(), nullable=False),
        sa.Column("hook_name", TEXT, nullable=False),
        sa.Column("processing", TEXT, nullable=False),
        sa.Column("normalize_activations", TEXT, nullable=False),
        sa.Column("l0", sa.Double(), nullable=False),
        sa.Column("fvu", sa.Double(), nullable=False),
        sa.Column("n_dead", sa.Integer(), nullable=False),
        sa.Column("n_rare", sa.Integer(), nullable=False),
        sa.Column("neuronpedia_id", TEXT, nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_saes_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "layer", name="pk_saes"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sequences",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("token_ids", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_sequences_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "sequence_index", name="pk_sequences"),
    )


def _heads() -> None:
    op.create_table(
        "heads",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("layer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("head", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("concentration", sa.Double(), nullable=True),
        sa.Column("rank_correlation", sa.Double(), nullable=True),
        sa.Column("top_overlap", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_heads_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "layer", "head", name="pk_heads"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "head_scores",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("layer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("head", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "layer", "head"],
            ["heads.run_id", "heads.layer", "heads.head"],
            name="fk_head_scores_run_id_layer_head",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "layer", "head", "name", name="pk_head_scores"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_head_scores_run_id_name_value", "head_scores", ["run_id", "name", "value"])
    op.create_table(
        "rankings",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("layer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("head", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ranking", TEXT, nullable=False),
        sa.Column("rank", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("feature_index", sa.Integer(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("other_rank", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "layer", "head"],
            ["heads.run_id", "heads.layer", "heads.head"],
            name="fk_rankings_run_id_layer_head",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "layer", "head", "ranking", "rank", name="pk_rankings"),
        sqlite_with_rowid=False,
    )


def _features() -> None:
    op.create_table(
        "features",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("layer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("feature_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("n_active", sa.BigInteger(), nullable=False),
        sa.Column("density", sa.Double(), nullable=False),
        sa.Column("mean_activation", sa.Double(), nullable=False),
        sa.Column("max_activation", sa.Double(), nullable=False),
        sa.Column("worst_residual", sa.Double(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_features_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "layer", "feature_index", name="pk_features"),
    )
    op.create_index(
        "ix_features_run_id_layer_density_feature_index",
        "features",
        ["run_id", "layer", "density", "feature_index"],
    )
    op.create_index(
        "ix_features_run_id_layer_max_activation_feature_index",
        "features",
        ["run_id", "layer", "max_activation", "feature_index"],
    )
    op.create_table(
        "feature_examples",
        sa.Column("run_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("layer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("feature_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "layer", "feature_index"],
            ["features.run_id", "features.layer", "features.feature_index"],
            name="fk_feature_examples_run_id_layer_feature_index",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "layer", "feature_index", name="pk_feature_examples"),
    )
