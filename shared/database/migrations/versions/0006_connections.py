"""Tokens with a row for each access, a generation and a state; what a client key may be used for.

Both tables are copied: SQLite can't change a primary key, and one way for both databases is tested
twice. Tokens of today keep their seals, which are bound to the row's id: it is the user's id. Going
back deletes the rows that came later under ids of their own, whose seals would not open.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)

_SHARED = (
    "driver, key_id, ciphertext, access_expires_at, refresh_expires_at, created_at, updated_at"
)
_LINKS = "client_id, client_user_id, created_at, updated_at"

_PLUS_DAYS = {
    "postgresql": "{column} + interval '{days} days'",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', {column}, '{days} days')",
}


def upgrade() -> None:
    _keep_copies()
    op.create_table(
        "garmin_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("access", sa.String(16), nullable=False),
        sa.Column("method", sa.String(32), nullable=False),
        *_shared_columns(),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("refresh_begun", sa.Integer(), nullable=True),
        sa.Column("refresh_due_at", _TIME, nullable=False),
        sa.Column("refresh_claimed_until", _TIME, nullable=True),
        sa.Column("refresh_job", sa.String(64), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("state_reason", sa.String(16), nullable=True),
        sa.Column("state_since", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_garmin_tokens"),
        sa.UniqueConstraint("user_id", "access", name="uq_garmin_tokens_user_id_access"),
        *_shared_constraints(),
        _check("access", "access IN ('read_write', 'read')"),
        _check("method", "method IN ('password', 'import', 'personal_api_key')"),
        _check("generation", "generation > 0"),
        _check("state", "state IN ('active', 'expiring', 'sign_in_required')"),
        _check("state_reason", "state_reason IN ('rejected', 'expired', 'key_revoked')"),
    )
    op.create_index("ix_garmin_tokens_key_id", "garmin_tokens", ["key_id"])
    op.create_index(
        "ix_garmin_tokens_state_refresh_due_at", "garmin_tokens", ["state", "refresh_due_at"]
    )
    plus_days = _PLUS_DAYS[op.get_bind().dialect.name]
    week = plus_days.format(column="updated_at", days=7)
    before_end = plus_days.format(column="refresh_expires_at", days=-14)
    _fill(
        "garmin_tokens",
        f"id, user_id, access, method, generation, state, state_since, refresh_due_at, {_SHARED}",
        "user_id, user_id, 'read_write', 'password', 1, 'active', updated_at, "
        f"CASE WHEN driver = 'garminconnect' THEN {week} ELSE {before_end} END, {_SHARED}",
    )
    _create_links("token_id", "id")
    _fill("client_links", f"token_id, {_LINKS}", f"user_id, {_LINKS}")
    _drop_copies()
    op.add_column("users", sa.Column("garmin_display_name", sa.String(256), nullable=True))
    op.add_column(
        "api_clients",
        sa.Column("scopes", sa.String(64), nullable=False, server_default="sign_in,connections"),
    )


def downgrade() -> None:
    op.drop_column("api_clients", "scopes")
    op.drop_column("users", "garmin_display_name")
    _keep_copies()
    op.create_table(
        "garmin_tokens",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        *_shared_columns(),
        sa.PrimaryKeyConstraint("user_id", name="pk_garmin_tokens"),
        *_shared_constraints(),
    )
    op.create_index("ix_garmin_tokens_key_id", "garmin_tokens", ["key_id"])
    _fill("garmin_tokens", f"user_id, {_SHARED}", f"user_id, {_SHARED}", "id = user_id")
    _create_links("user_id", "user_id")
    known = "token_id IN (SELECT user_id FROM garmin_tokens)"
    _fill("client_links", f"user_id, {_LINKS}", f"token_id, {_LINKS}", known)
    _drop_copies()


def _shared_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("driver", sa.String(32), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("access_expires_at", _TIME, nullable=False),
        sa.Column("refresh_expires_at", _TIME, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
    ]


def _shared_constraints() -> list[sa.Constraint]:
    return [
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_garmin_tokens_user_id", ondelete="CASCADE"
        ),
        _check("ciphertext", "length(ciphertext) > 0"),
        _check("driver", "driver <> ''"),
    ]


def _check(name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_garmin_tokens_{name}"))


def _create_links(column: str, target: str) -> None:
    """Create `client_links`, whose `column` names a row of `garmin_tokens` by its `target`."""
    op.create_table(
        "client_links",
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("client_user_id", sa.String(128), nullable=False),
        sa.Column(column, sa.Uuid(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("client_id", "client_user_id", name="pk_client_links"),
        sa.ForeignKeyConstraint(
            ["client_id"], ["api_clients.id"], name="fk_client_links_client_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            [column],
            [f"garmin_tokens.{target}"],
            name=f"fk_client_links_{column}",
            ondelete="CASCADE",
        ),
    )
    op.create_index(f"ix_client_links_{column}", "client_links", [column])


def _keep_copies() -> None:
    for table in ("client_links", "garmin_tokens"):
        op.execute(f"CREATE TABLE {table}_copy AS SELECT * FROM {table}")  # noqa: S608 - fixed names
        op.drop_table(table)


def _fill(table: str, columns: str, values: str, condition: str = "true") -> None:
    op.execute(
        f"INSERT INTO {table} ({columns}) "  # noqa: S608 - fixed texts
        f"SELECT {values} FROM {table}_copy WHERE {condition}"
    )


def _drop_copies() -> None:
    for table in ("client_links", "garmin_tokens"):
        op.drop_table(f"{table}_copy")
