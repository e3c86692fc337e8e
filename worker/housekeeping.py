"""What a worker does beside its jobs: brings events to the database, and drops old ones."""

import logging
import threading
import time
from datetime import UTC, datetime, timedelta

from shared.bugs import where
from shared.database import Database
from shared.errors import ServiceUnavailableError
from shared.event_outbox import EventOutbox
from shared.events import EventLog

_PAUSE = 1.0
_PAUSE_IN_TROUBLE = 5.0
_DROP_EVERY = 3600.0

_log = logging.getLogger(__name__)


class Housekeeping:
    """One thread a process. Any number of workers may do the same at once."""

    def __init__(self, outbox: EventOutbox, database: Database, event_days: int) -> None:
        self._outbox = outbox
        self._database = database
        self._kept = timedelta(days=event_days)

    def start(self) -> None:
        threading.Thread(target=self._run, name="housekeeping", daemon=True).start()

    def drop_old_events(self) -> None:
        """Raises ServiceUnavailableError."""
        oldest = datetime.now(UTC) - self._kept
        self._database.run(lambda session: EventLog(session).drop_older_than(oldest))

    def _run(self) -> None:
        dropped_at: float | None = None
        while True:
            pause = _PAUSE
            try:
                if dropped_at is None or time.monotonic() - dropped_at > _DROP_EVERY:
                    self.drop_old_events()
                    dropped_at = time.monotonic()
                while self._outbox.empty_into(self._database):
                    pass
            except ServiceUnavailableError:
                pause = _PAUSE_IN_TROUBLE
            except Exception as error:  # the next round may go well: events wait in Redis
                _log.error("housekeeping: bug: %s", where(error))  # noqa: TRY400, RUF100
                pause = _PAUSE_IN_TROUBLE
            time.sleep(pause)
