"""Periodic work of a worker, beside its jobs. Any number of workers may do the same at once."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from shared.accounts.cutoffs import delete_cutoffs
from shared.accounts.sessions import SessionRepository
from shared.audit.delivery import deliver
from shared.audit.log import EventLog
from shared.audit.outbox import EventOutbox
from shared.clocks import Clocks
from shared.database.clock import database_now
from shared.database.engine import Database
from shared.database.job_marks import RETENTION, JobMarks
from shared.errors import ServiceUnavailableError
from shared.jobs.lost_messages import LostMessages
from shared.logs.locations import where
from shared.webhooks.history import RETENTION as WEBHOOKS
from shared.webhooks.history import DeliveryHistory

_log = logging.getLogger(__name__)

_BATCH = 1000
_BATCH_PAUSE = 0.2


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
        clocks: Clocks,
    ) -> None:
        self._outbox = outbox
        self._database = database
        self._retention = timedelta(days=event_days)
        self._session_idle = session_idle
        self._clocks = clocks

    def deliver_events(self) -> None:
        """Move all audit events in the outbox to the database."""
        while self._outbox.end_counts():
            pass
        while deliver(self._outbox, self._database):
            pass

    def delete_old(self) -> None:
        """Delete what is past its retention, by the database's clock.

        Nothing is deleted while this process's clock disagrees: one of the two is wrong.
        """
        if not self._clocks.check():
            _log.warning("nothing is deleted while the clock of this process is wrong")
            return
        now = self._database.run(database_now)
        oldest, idle = now - self._retention, self._session_idle
        self._delete(lambda session: EventLog(session).delete_older_than(oldest, _BATCH))
        self._delete(
            lambda session: SessionRepository(session, idle).delete_ended_before(oldest, _BATCH)
        )
        self._delete(lambda session: delete_cutoffs(session, now, _BATCH))
        self._delete(
            lambda session: DeliveryHistory(session).delete_older_than(now - WEBHOOKS, _BATCH)
        )
        self._delete(lambda session: JobMarks(session).delete_older_than(now - RETENTION, _BATCH))

    def _delete(self, some: Callable[[Session], int]) -> None:
        """Delete batch by batch; between two, whoever waits for SQLite's only lock can get it."""
        while self._database.run(some) == _BATCH:
            time.sleep(_BATCH_PAUSE)


def sweep(lost_messages: LostMessages) -> None:
    """Send the messages again that died with a worker. Raises ServiceUnavailableError."""
    for job_id in lost_messages.resend():
        _log.warning("the message of job %s was lost: sent again", job_id)
