"""The audit log: who did what, when, from where, and how it ended. Never a secret.

Rows are only ever added, and dropped when they are older than the operator keeps them; the database
itself refuses to change one.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from shared.models import AuthEvent
from shared.origin import Origin


class EventKind(StrEnum):
    SIGN_IN_REQUESTED = "sign_in_requested"
    CODE_REQUESTED = "code_requested"
    CODE_SUBMITTED = "code_submitted"
    CODE_WRONG = "code_wrong"
    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    RATE_LIMITED = "rate_limited"
    SESSION_OPENED = "session_opened"
    SESSION_ENDED = "session_ended"
    TOKENS_STORED = "tokens_stored"
    TOKENS_READ = "tokens_read"
    TOKENS_DELETED = "tokens_deleted"
    KEYS_ROTATED = "keys_rotated"
    CLIENT_ADDED = "client_added"
    CLIENT_RENEWED = "client_renewed"
    CLIENT_REMOVED = "client_removed"


def _printable(value: object) -> object:
    """Also Garmin's words and clients' find their way here: nothing the database would refuse."""
    if isinstance(value, str):
        return "".join(c for c in value if c.isprintable())[:64]
    return value


_Text = Annotated[str, BeforeValidator(_printable)]


class Event(BaseModel):
    """One thing that happened. `outcome` is `ok`, or in a word why not or how."""

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


@dataclass(frozen=True)
class EventFilter:
    """Which events to read; None: all."""

    kind: EventKind | None = None
    user_id: uuid.UUID | None = None
    account: str | None = None
    job_id: str | None = None
    since: datetime | None = None


class EventLog:
    """The events, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def append(self, *events: Event) -> None:
        self._session.add_all(AuthEvent(**event.model_dump()) for event in events)
        self._session.flush()

    def append_missing(self, events: Iterable[Event]) -> None:
        """Adds those that are not there yet: the same ones may be brought twice."""
        by_id = {event.id: event for event in events}
        known = self._session.scalars(select(AuthEvent.id).where(AuthEvent.id.in_(by_id)))
        for event_id in known.all():
            del by_id[event_id]
        self.append(*by_id.values())

    def newest(self, which: EventFilter, most: int) -> list[Event]:
        """Up to `most` of them, the newest first."""
        query = select(AuthEvent).order_by(AuthEvent.at.desc(), AuthEvent.id).limit(most)
        for name in ("kind", "user_id", "account", "job_id"):
            value = getattr(which, name)
            if value is not None:
                query = query.where(getattr(AuthEvent, name) == value)
        if which.since is not None:
            query = query.where(AuthEvent.at >= which.since)
        names = Event.model_fields
        return [
            Event.model_validate({name: getattr(row, name) for name in names})
            for row in self._session.scalars(query)
        ]

    def drop_older_than(self, moment: datetime) -> None:
        self._session.execute(delete(AuthEvent).where(AuthEvent.at < moment))
