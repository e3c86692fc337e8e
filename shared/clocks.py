"""Whether the clock of this process agrees with those of Redis and of the database."""

import logging
import os
import socket
import time
from collections.abc import Callable

from shared.database.clock import database_now
from shared.database.engine import Database
from shared.redis.clock import ClockReports

TOLERANCE = 30.0
"""Seconds by which clocks may differ."""

CHECK_INTERVAL = 60.0
CHECK_RETRY = 5.0
"""Pause between two checks, and after one that a server did not answer."""

_log = logging.getLogger(__name__)


class Clocks:
    """`program` names the process for the operator; `clock` is the one that is checked."""

    def __init__(
        self,
        reports: ClockReports,
        database: Database,
        program: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._reports = reports
        self._database = database
        self._process = f"{program}@{socket.gethostname()}:{os.getpid()}"
        self._clock = clock
        self._right = True

    def check(self) -> bool:
        """Return whether this process's clock is right; log a change, and report it for `/metrics`.

        Raises ServiceUnavailableError: without an answer, nobody knows.
        """
        offsets = {
            "redis": self._ahead_of(self._reports.now),
            "database": self._ahead_of(
                lambda: self._database.run(lambda session: database_now(session).timestamp())
            ),
        }
        self._reports.write(self._process, offsets)
        right = all(abs(ahead) <= TOLERANCE for ahead in offsets.values())
        if right != self._right:
            differences = ", ".join(
                f"{ahead:+.0f} s from {name}" for name, ahead in offsets.items()
            )
            if right:
                _log.info("the clock of this process is right again: %s", differences)
            else:
                _log.warning("the clock of this process is wrong: %s", differences)
        self._right = right
        return right

    def _ahead_of(self, read: Callable[[], float]) -> float:
        before = self._clock()
        server_time = read()
        return (before + self._clock()) / 2 - server_time
