"""Features are listed by index alone: the indexes by density and by largest activation go."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ORDERS = ("density", "max_activation")


def upgrade() -> None:
    for order in ORDERS:
        op.drop_index(f"ix_features_run_id_layer_{order}_feature_index", "features")


def downgrade() -> None:
    for order in ORDERS:
        columns = ["run_id", "layer", order, "feature_index"]
        op.create_index(f"ix_features_{'_'.join(columns)}", "features", columns)
