"""The audit log in the database.

It is append-only: rows are deleted after their retention, and a trigger rejects updates.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.audit.events import Event, EventKind
from shared.database.deletes import delete_some
from shared.database.inserts import dialect, insert_or, insert_rows
from shared.database.models import AuthEvent


@dataclass(frozen=True)
class EventFilter:
    """Which events to read; None means any."""

    kind: EventKind | None = None
    user_id: uuid.UUID | None = None
    client_id: uuid.UUID | None = None
    account: str | None = None
    job_id: str | None = None
    since: datetime | None = None


class EventLog:
    """Audit events, within the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def append(self, *events: Event) -> None:
        insert_rows(self._session, AuthEvent, *(event.model_dump() for event in events))

    def append_missing(self, events: Iterable[Event]) -> None:
        """Add the events that are not stored yet."""
        rows = [event.model_dump() for event in events]
        if rows:
            missing = insert_or(dialect(self._session), AuthEvent).on_conflict_do_nothing()
            self._session.execute(missing, rows)

    def newest(self, events: EventFilter, limit: int) -> list[Event]:
        """Return up to `limit` matching events, newest first."""
        query = select(AuthEvent).order_by(AuthEvent.at.desc(), AuthEvent.id).limit(limit)
        for name in ("kind", "user_id", "client_id", "account", "job_id"):
            value = getattr(events, name)
            if value is not None:
                query = query.where(getattr(AuthEvent, name) == value)
        if events.since is not None:
            query = query.where(AuthEvent.at >= events.since)
        names = Event.model_fields
        return [
            Event.model_validate({name: getattr(row, name) for name in names})
            for row in self._session.scalars(query)
        ]

    def delete_older_than(self, moment: datetime, limit: int) -> int:
        """Delete up to `limit` events; return how many."""
        return delete_some(self._session, AuthEvent.id, AuthEvent.at < moment, limit)
