"""Move audit events from the outbox in Redis to the audit log in the database."""

import logging

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError
from sqlalchemy.orm import Session

from shared.audit.events import ENDS_OF_JOBS, Event
from shared.audit.log import EventLog
from shared.audit.outbox import EventOutbox
from shared.database.engine import Database
from shared.database.job_marks import JobMarks
from shared.errors import ServiceUnavailableError

_log = logging.getLogger(__name__)


def deliver(outbox: EventOutbox, database: Database, limit: int = 200) -> int:
    """Move up to `limit` events, oldest first; return how many.

    An event may be delivered twice, by two workers or after a crash; the log stores each id once.
    Raises ServiceUnavailableError if Redis or the database does not answer or refuses: then the
    events stay where they are.
    """
    entries = outbox.oldest(limit)
    unreadable = [entry_id.decode() for entry_id, event in entries if event is None]
    if unreadable:
        _log.error("events of another version are dropped: %s", ", ".join(unreadable))
    if entries:
        _store([event for _, event in entries if event is not None], database)
        outbox.remove([entry_id for entry_id, _ in entries])
    return len(entries)


def _store(events: list[Event], database: Database) -> None:
    """Store the events together; one by one if one of them can't be stored as it is."""
    try:
        database.run(lambda session: _append(session, events))
    except StatementError as error:
        if not _is_about_data(error):
            _log.error("audit events wait in Redis: the database refuses: %s", _name(error))  # noqa: TRY400, RUF100
            raise ServiceUnavailableError("database") from None
        if len(events) == 1:
            _log.error("event %s can't be stored: %s", events[0].id, _name(error))  # noqa: TRY400, RUF100
            return
        for event in events:
            _store([event], database)


def _is_about_data(error: StatementError) -> bool:
    """Whether the values are at fault: not a missing right or table, or a server in trouble."""
    return isinstance(error, DataError | IntegrityError) or not isinstance(error, DBAPIError)


def _name(error: StatementError) -> str:
    """Name the error without its text, which may hold the values."""
    return type(error.orig or error).__name__


def _append(session: Session, events: list[Event]) -> None:
    """Add the events that are not stored yet, and mark the jobs that ended with them."""
    EventLog(session).append_missing(events)
    ended = (event.job_id for event in events if event.kind in ENDS_OF_JOBS)
    JobMarks(session).end_all(job_id for job_id in ended if job_id is not None)
