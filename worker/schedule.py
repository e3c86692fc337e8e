"""What a worker does beside its jobs: brings events to the database, and drops what is old."""

import logging
import threading
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from shared.accounts.sessions import SessionRepository
from shared.audit.delivery import deliver
from shared.audit.log import EventLog
from shared.audit.outbox import EventOutbox
from shared.database.engine import Database
from shared.errors import ServiceUnavailableError
from shared.logs.locations import where
from shared.timings import PRODUCTION, Timings

_log = logging.getLogger(__name__)


class Housekeeping:
    """One thread a process. Any number of workers may do the same at once."""

    def __init__(
        self,
        outbox: EventOutbox,
        database: Database,
        event_days: int,
        session_idle: int,
        timings: Timings = PRODUCTION,
    ) -> None:
        self._outbox = outbox
        self._database = database
        self._kept = timedelta(days=event_days)
        self._session_idle = session_idle
        self._timings = timings

    def start(self) -> None:
        threading.Thread(target=self._run, name="housekeeping", daemon=True).start()

    def bring_events(self) -> None:
        """All that wait, to the database. Raises ServiceUnavailableError."""
        while deliver(self._outbox, self._database):
            pass

    def drop_old(self) -> None:
        """Events, and sessions that are over, as old as that. Raises ServiceUnavailableError."""
        oldest = datetime.now(UTC) - self._kept

        def work(session: Session) -> None:
            EventLog(session).delete_older_than(oldest)
            SessionRepository(session, self._session_idle).delete_ended_before(oldest)

        self._database.run(work)

    def _run(self) -> None:
        dropped_at: float | None = None
        while True:
            pause = self._timings.delivery_interval
            try:
                every = self._timings.retention_interval
                if dropped_at is None or time.monotonic() - dropped_at > every:
                    self.drop_old()
                    dropped_at = time.monotonic()
                self.bring_events()
            except ServiceUnavailableError:
                pause = self._timings.delivery_retry
            except Exception as error:  # the next round may go well: events wait in Redis
                _log.error("housekeeping: bug: %s", where(error))  # noqa: TRY400, RUF100
                pause = self._timings.delivery_retry
            time.sleep(pause)
