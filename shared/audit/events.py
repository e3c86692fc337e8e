"""Audit events: who did what, when, from where, and with which outcome. Never a secret."""

import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shared.origin import Origin


class EventKind(StrEnum):
    SIGN_IN_REQUESTED = "sign_in_requested"
    CODE_REQUESTED = "code_requested"
    CODE_SUBMITTED = "code_submitted"
    CODE_RESEND_REQUESTED = "code_resend_requested"
    CODE_RESEND_FAILED = "code_resend_failed"
    CODE_WRONG = "code_wrong"
    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    IMPORT_REQUESTED = "import_requested"
    TOKENS_IMPORTED = "tokens_imported"
    IMPORT_FAILED = "import_failed"
    RATE_LIMITED = "rate_limited"
    SESSION_OPENED = "session_opened"
    SESSION_ENDED = "session_ended"
    TOKENS_STORED = "tokens_stored"
    TOKENS_READ = "tokens_read"
    TOKENS_DELETED = "tokens_deleted"
    TOKENS_REFRESHED = "tokens_refreshed"
    REFRESH_FAILED = "refresh_failed"
    STATE_CHANGED = "state_changed"
    USER_DELETED = "user_deleted"
    DRIVER_WOKEN = "driver_woken"
    KEYS_ROTATED = "keys_rotated"
    CLIENT_ADDED = "client_added"
    CLIENT_RENEWED = "client_renewed"
    CLIENT_REMOVED = "client_removed"
    CLIENT_SCOPES_CHANGED = "client_scopes_changed"
    WEBHOOK_ADDED = "webhook_added"
    WEBHOOK_REMOVED = "webhook_removed"
    WEBHOOK_ROTATED = "webhook_rotated"
    WEBHOOK_ENABLED = "webhook_enabled"
    WEBHOOK_DISABLED = "webhook_disabled"
    CLIENT_EDITED = "client_edited"
    CONNECT_OPENED = "connect_opened"
    CONNECT_CONNECTED = "connect_connected"
    CONNECT_FAILED = "connect_failed"
    CONNECT_CANCELLED = "connect_cancelled"


ENDS_OF_JOBS = {
    EventKind.CODE_REQUESTED,
    EventKind.CODE_WRONG,
    EventKind.CODE_RESEND_FAILED,
    EventKind.SIGNED_IN,
    EventKind.SIGN_IN_FAILED,
    EventKind.TOKENS_IMPORTED,
    EventKind.IMPORT_FAILED,
    EventKind.TOKENS_REFRESHED,
    EventKind.REFRESH_FAILED,
}
"""One of these is written where a job ends."""


def _printable(value: object) -> object:
    # Some texts come from Garmin or a client: keep only what every database accepts.
    if not isinstance(value, str):
        return value
    return (value if value.isprintable() else "".join(filter(str.isprintable, value)))[:64]


_Text = Annotated[str, BeforeValidator(_printable)]


class Event(BaseModel):
    """One event. `outcome` is `ok`, or one word for the reason or the manner."""

    model_config = ConfigDict(frozen=True)

    id: uuid.UUID = Field(default_factory=uuid.uuid4)
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    kind: EventKind
    outcome: _Text = "ok"
    account: _Text | None = None
    user_id: uuid.UUID | None = None
    client_id: uuid.UUID | None = None
    session_id: uuid.UUID | None = None
    job_id: _Text | None = None
    address: _Text | None = None
    request_id: _Text | None = None

    @classmethod
    def of(
        cls,
        kind: EventKind,
        origin: Origin,
        outcome: str = "ok",
        *,
        user_id: uuid.UUID | None = None,
        session_id: uuid.UUID | None = None,
        job_id: str | None = None,
    ) -> "Event":
        """Create an event with the origin's account, client, address and request id."""
        return cls(
            kind=kind,
            outcome=outcome,
            account=origin.account,
            user_id=user_id,
            client_id=origin.client_id,
            session_id=session_id,
            job_id=job_id,
            address=origin.address,
            request_id=origin.request_id,
        )
