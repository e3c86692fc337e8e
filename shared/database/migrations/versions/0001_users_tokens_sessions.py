"""Users, Garmin tokens and sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("garmin_guid", sa.String(64), nullable=False),
        sa.Column("domain", sa.String(16), nullable=False),
        sa.Column("display_name", sa.String(256), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("domain", "garmin_guid", name="uq_users_domain_garmin_guid"),
        sa.CheckConstraint("domain IN ('garmin.com', 'garmin.cn')", name=op.f("ck_users_domain")),
        sa.CheckConstraint("garmin_guid <> ''", name=op.f("ck_users_garmin_guid")),
    )
    op.create_table(
        "garmin_tokens",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("driver", sa.String(32), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("access_expires_at", _TIME, nullable=False),
        sa.Column("refresh_expires_at", _TIME, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_garmin_tokens"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_garmin_tokens_user_id", ondelete="CASCADE"
        ),
        sa.CheckConstraint("length(ciphertext) > 0", name=op.f("ck_garmin_tokens_ciphertext")),
        sa.CheckConstraint("driver <> ''", name=op.f("ck_garmin_tokens_driver")),
    )
    op.create_index("ix_garmin_tokens_key_id", "garmin_tokens", ["key_id"])
    op.create_table(
        "user_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("last_seen_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_user_sessions"),
        sa.UniqueConstraint("token_hash", name="uq_user_sessions_token_hash"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_user_sessions_user_id", ondelete="CASCADE"
        ),
        sa.CheckConstraint("length(token_hash) = 64", name=op.f("ck_user_sessions_token_hash")),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_user_sessions_expires_at")),
    )
    op.create_index("ix_user_sessions_user_id", "user_sessions", ["user_id"])


def downgrade() -> None:
    op.drop_table("user_sessions")
    op.drop_table("garmin_tokens")
    op.drop_table("users")
