"""When sign-ins were ended that were still going on."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sign_in_cutoffs",
        sa.Column("scope", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", name="pk_sign_in_cutoffs"),
        sa.CheckConstraint("length(scope) = 64", name=op.f("ck_sign_in_cutoffs_scope")),
    )
    op.create_index("ix_sign_in_cutoffs_at", "sign_in_cutoffs", ["at"])


def downgrade() -> None:
    op.drop_table("sign_in_cutoffs")
