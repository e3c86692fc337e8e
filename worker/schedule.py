"""Periodic work of a worker, beside its jobs. Any number of workers may do the same at once."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from shared.accounts.sessions import SessionRepository
from shared.audit.delivery import deliver
from shared.audit.log import EventLog
from shared.audit.outbox import EventOutbox
from shared.database.engine import Database
from shared.database.job_marks import RETENTION, JobMarks
from shared.errors import ServiceUnavailableError
from shared.jobs.lost_messages import LostMessages
from shared.logs.locations import where

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Periodic:
    """Something to do every `interval` seconds; `retry` seconds later if a server is away."""

    name: str
    action: Callable[[], object]
    interval: float
    retry: float

    def start(self) -> None:
        """Do it from now on, in a thread of its own: one server that is away stops no other."""
        threading.Thread(target=self._run, name=self.name, daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(self.run_once())

    def run_once(self) -> float:
        """Do it; return the pause that follows."""
        try:
            self.action()
        except ServiceUnavailableError:
            return self.retry
        except Exception as error:  # the next round may succeed
            _log.error("%s: bug: %s", self.name, where(error))  # noqa: TRY400, RUF100
            return self.retry
        return self.interval


class Housekeeping:
    """What the database needs done. Every method raises ServiceUnavailableError."""

    def __init__(
        self,
        outbox: EventOutbox,
        database: Database,
        event_days: int,
        session_idle: int,
    ) -> None:
        self._outbox = outbox
        self._database = database
        self._retention = timedelta(days=event_days)
        self._session_idle = session_idle

    def deliver_events(self) -> None:
        """Move all audit events in the outbox to the database."""
        while deliver(self._outbox, self._database):
            pass

    def delete_old(self) -> None:
        """Delete events, ended sessions and marks of jobs past their retention."""
        now = datetime.now(UTC)
        oldest = now - self._retention

        def work(session: Session) -> None:
            JobMarks(session).delete_older_than(now - RETENTION)
            EventLog(session).delete_older_than(oldest)
            SessionRepository(session, self._session_idle).delete_ended_before(oldest)

        self._database.run(work)


def sweep(lost_messages: LostMessages) -> None:
    """Send the messages again that died with a worker. Raises ServiceUnavailableError."""
    for job_id in lost_messages.resend():
        _log.warning("the message of job %s was lost: sent again", job_id)
