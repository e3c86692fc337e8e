"""Client apps, their connections to Garmin accounts, and the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)

# Keep the audit log append-only, also against bugs and careless operators.
_REFUSE_UPDATES = {
    "postgresql": (
        """
        CREATE FUNCTION auth_events_refuse_update() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'auth_events is append-only'; END $$
        """,
        """
        CREATE TRIGGER auth_events_append_only BEFORE UPDATE ON auth_events
        FOR EACH STATEMENT EXECUTE FUNCTION auth_events_refuse_update()
        """,
    ),
    "sqlite": (
        """
        CREATE TRIGGER auth_events_append_only BEFORE UPDATE ON auth_events
        BEGIN SELECT RAISE(ABORT, 'auth_events is append-only'); END
        """,
    ),
}


def upgrade() -> None:
    op.create_table(
        "api_clients",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_api_clients"),
        sa.UniqueConstraint("name", name="uq_api_clients_name"),
        sa.UniqueConstraint("key_hash", name="uq_api_clients_key_hash"),
        sa.CheckConstraint("length(key_hash) = 64", name=op.f("ck_api_clients_key_hash")),
        sa.CheckConstraint("name <> ''", name=op.f("ck_api_clients_name")),
    )
    op.create_table(
        "client_links",
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("client_user_id", sa.String(128), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("client_id", "client_user_id", name="pk_client_links"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["api_clients.id"], name="fk_client_links_client_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["garmin_tokens.user_id"],
            name="fk_client_links_user_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_client_links_user_id", "client_links", ["user_id"])
    op.create_table(
        "auth_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("outcome", sa.String(64), nullable=False),
        sa.Column("account", sa.String(64), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("job_id", sa.String(64), nullable=True),
        sa.Column("address", sa.String(64), nullable=True),
        sa.Column("request_id", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_auth_events"),
    )
    op.create_index("ix_auth_events_at", "auth_events", ["at"])
    op.create_index("ix_auth_events_account_at", "auth_events", ["account", "at"])
    op.create_index("ix_auth_events_user_id_at", "auth_events", ["user_id", "at"])
    for statement in _REFUSE_UPDATES[op.get_bind().dialect.name]:
        op.execute(statement)
    op.add_column("user_sessions", sa.Column("client_id", sa.Uuid(), nullable=True))


def downgrade() -> None:
    op.drop_column("user_sessions", "client_id")
    op.drop_table("auth_events")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION auth_events_refuse_update")
    op.drop_table("client_links")
    op.drop_table("api_clients")
