"""An index from which connections are counted by state and method, without reading a row."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_NAME = "ix_garmin_tokens_state_method"


def upgrade() -> None:
    op.create_index(_NAME, "garmin_tokens", ["state", "method"])


def downgrade() -> None:
    op.drop_index(_NAME, table_name="garmin_tokens")
