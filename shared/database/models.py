"""The tables, on PostgreSQL and SQLite alike."""

import uuid
from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """A datetime with time zone, stored in UTC (SQLite stores no zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime}  # noqa: RUF012 - SQLAlchemy's declaration


class DatabaseIdentity(Base):
    """The database's id, in the only row: it tells deployments apart."""

    __tablename__ = "database_identity"
    __table_args__ = (CheckConstraint("number = 1", name="one_row"),)

    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    id: Mapped[uuid.UUID]


class User(Base):
    """A Garmin user. `garmin_guid` is unique within a Garmin domain."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("domain", "garmin_guid"),
        CheckConstraint("domain IN ('garmin.com', 'garmin.cn')", name="domain"),
        CheckConstraint("garmin_guid <> ''", name="garmin_guid"),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    garmin_guid: Mapped[str] = mapped_column(String(64))
    domain: Mapped[str] = mapped_column(String(16))
    display_name: Mapped[str] = mapped_column(String(256))
    garmin_display_name: Mapped[str | None] = mapped_column(String(256))
    """Garmin's `displayName`, which the addresses of its API have."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class GarminToken(Base):
    """A user's Garmin tokens, sealed for the row's id: one row for each access that they give.

    `generation` grows with each sign-in and each refresh. `refresh_begun` is the generation whose
    refresh was begun and is not known to have ended. `refresh_claimed_until` is for how long the
    row stays with the worker that submits its refresh, or with `refresh_job`, the run of a job.
    """

    __tablename__ = "garmin_tokens"
    __table_args__ = (
        UniqueConstraint("user_id", "access"),
        CheckConstraint("length(ciphertext) > 0", name="ciphertext"),
        CheckConstraint("driver <> ''", name="driver"),
        CheckConstraint("access IN ('read_write', 'read')", name="access"),
        CheckConstraint("method IN ('password', 'import', 'personal_api_key')", name="method"),
        CheckConstraint("generation > 0", name="generation"),
        CheckConstraint("state IN ('active', 'expiring', 'sign_in_required')", name="state"),
        CheckConstraint(
            "state_reason IN ('rejected', 'expired', 'key_revoked')", name="state_reason"
        ),
        Index("ix_garmin_tokens_state_refresh_due_at", "state", "refresh_due_at"),
        Index("ix_garmin_tokens_state_method", "state", "method"),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    access: Mapped[str] = mapped_column(String(16))
    method: Mapped[str] = mapped_column(String(32))
    driver: Mapped[str] = mapped_column(String(32))
    key_id: Mapped[str] = mapped_column(String(32), index=True)
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    access_expires_at: Mapped[datetime]
    refresh_expires_at: Mapped[datetime]
    generation: Mapped[int]
    refresh_begun: Mapped[int | None]
    refresh_due_at: Mapped[datetime]
    refresh_claimed_until: Mapped[datetime | None]
    refresh_job: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    state_reason: Mapped[str | None] = mapped_column(String(16))
    state_since: Mapped[datetime]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class UserSession(Base):
    """A user session. `token_hash` is the SHA-256 of its access token, in hex."""

    __tablename__ = "user_sessions"
    __table_args__ = (
        CheckConstraint("length(token_hash) = 64", name="token_hash"),
        CheckConstraint("expires_at > created_at", name="expires_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    client_id: Mapped[uuid.UUID | None]
    """The app that opened it; no foreign key, so that removing the app leaves the row unchanged."""
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class ApiClient(Base):
    """A client app. `key_hash` is the SHA-256 of its key, in hex."""

    __tablename__ = "api_clients"
    __table_args__ = (
        CheckConstraint("length(key_hash) = 64", name="key_hash"),
        CheckConstraint("name <> ''", name="name"),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[str] = mapped_column(String(64), server_default="sign_in,connections")
    """Comma-separated: what the key may be used for."""
    display_name: Mapped[str | None] = mapped_column(String(64))
    accent: Mapped[str | None] = mapped_column(String(7))
    origins: Mapped[str] = mapped_column(Text, server_default="")
    """Separated by spaces: which pages may open the connect page, or be returned to."""
    created_at: Mapped[datetime]


class ClientLink(Base):
    """A connection: a client's own id of a user, and the tokens that it connected last."""

    __tablename__ = "client_links"

    client_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("api_clients.id", ondelete="CASCADE"), primary_key=True
    )
    client_user_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    token_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("garmin_tokens.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class AuthEvent(Base):
    """One event of the audit log. Append-only; no foreign keys, so that it outlives other rows."""

    __tablename__ = "auth_events"
    __table_args__ = (
        Index("ix_auth_events_account_at", "account", "at"),
        Index("ix_auth_events_user_id_at", "user_id", "at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    kind: Mapped[str] = mapped_column(String(32))
    outcome: Mapped[str] = mapped_column(String(64))
    account: Mapped[str | None] = mapped_column(String(64))
    user_id: Mapped[uuid.UUID | None]
    client_id: Mapped[uuid.UUID | None]
    session_id: Mapped[uuid.UUID | None]
    job_id: Mapped[str | None] = mapped_column(String(64))
    address: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))


class JobMark(Base):
    """How far a job has come, for when Redis is restored to an earlier state."""

    __tablename__ = "job_marks"
    __table_args__ = (CheckConstraint("state IN ('begun', 'answered', 'ended')", name="state"),)

    job_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    run: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(index=True)


class SignInCutoff(Base):
    """When the sign-ins were ended to which `scope`, a keyed hash, applies."""

    __tablename__ = "sign_in_cutoffs"
    __table_args__ = (CheckConstraint("length(scope) = 64", name="scope"),)

    scope: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)


class WebhookEndpoint(Base):
    """Where an app hears of its connections. Its secrets are sealed for the row's id.

    Until `paused_until` its receiver has asked for no deliveries; until `served_until` one worker
    makes those that are due.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        UniqueConstraint("client_id", "url"),
        CheckConstraint("length(ciphertext) > 0", name="ciphertext"),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    client_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("api_clients.id", ondelete="CASCADE"))
    url: Mapped[str] = mapped_column(String(1024))
    key_id: Mapped[str] = mapped_column(String(32), index=True)
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None] = mapped_column(String(32))
    paused_until: Mapped[datetime | None]
    served_until: Mapped[datetime | None]


class WebhookDelivery(Base):
    """The outbox: one event for one endpoint, written with the change that it tells of.

    `number` is the order of events, `id` the receiver's `webhook-id`. No foreign key leads to the
    connection, which may be gone when its last event is delivered.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'delivered', 'given_up')", name="status"),
        Index("ix_webhook_deliveries_status_next_try_at", "status", "next_try_at"),
        Index(
            "ix_webhook_deliveries_endpoint_id_client_user_id_status_number",
            "endpoint_id",
            "client_user_id",
            "status",
            "number",
        ),
    )

    number: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True
    )
    id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    endpoint_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("webhook_endpoints.id", ondelete="CASCADE")
    )
    client_user_id: Mapped[str | None] = mapped_column(String(128))
    type: Mapped[str] = mapped_column(String(32))
    state: Mapped[str | None] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(16))
    method: Mapped[str | None] = mapped_column(String(32))
    access: Mapped[str | None] = mapped_column(String(16))
    domain: Mapped[str | None] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(index=True)
    status: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    next_try_at: Mapped[datetime]
    claimed_until: Mapped[datetime | None]
    tried_at: Mapped[datetime | None]
    answer: Mapped[str | None] = mapped_column(String(32))
    """The status of the last answer, or one word for why there was none."""
