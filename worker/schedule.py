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

_PAUSE = 1.0
_PAUSE_IN_TROUBLE = 5.0
_DROP_EVERY = 3600.0

_log = logging.getLogger(__name__)


class Housekeeping:
    """One thread a process. Any number of workers may do the same at once."""

    def __init__(
        self, outbox: EventOutbox, database: Database, event_days: int, session_idle: int
    ) -> None:
        self._outbox = outbox
        self._database = database
        self._kept = timedelta(days=event_days)
        self._session_idle = session_idle

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
            pause = _PAUSE
            try:
                if dropped_at is None or time.monotonic() - dropped_at > _DROP_EVERY:
                    self.drop_old()
                    dropped_at = time.monotonic()
                self.bring_events()
            except ServiceUnavailableError:
                pause = _PAUSE_IN_TROUBLE
            except Exception as error:  # the next round may go well: events wait in Redis
                _log.error("housekeeping: bug: %s", where(error))  # noqa: TRY400, RUF100
                pause = _PAUSE_IN_TROUBLE
            time.sleep(pause)
