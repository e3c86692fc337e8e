"""The database's id."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "database_identity",
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_database_identity"),
        sa.CheckConstraint('"number" = 1', name=op.f("ck_database_identity_one_row")),
    )


def downgrade() -> None:
    op.drop_table("database_identity")
