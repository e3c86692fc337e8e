"""Marks of jobs, which outlive what Redis forgets."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "job_marks",
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_job_marks"),
        sa.CheckConstraint(
            "state IN ('begun', 'answered', 'ended')", name=op.f("ck_job_marks_state")
        ),
    )
    op.create_index("ix_job_marks_at", "job_marks", ["at"])


def downgrade() -> None:
    op.drop_table("job_marks")
