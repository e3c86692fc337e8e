"""What people see of an app on the connect page, and which origins may open it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_clients", sa.Column("display_name", sa.String(64), nullable=True))
    op.add_column("api_clients", sa.Column("accent", sa.String(7), nullable=True))
    op.add_column("api_clients", sa.Column("origins", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    for column in ("origins", "accent", "display_name"):
        op.drop_column("api_clients", column)
