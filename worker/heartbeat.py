"""The heartbeat file, whose age `worker/health.py` reads.

It is touched while the worker takes jobs: its consumer's event loop runs its timers (it has none
while the broker is away, and none runs while the loop hangs), and the broker has just answered.
"""

import logging
import os
import time
from pathlib import Path
from typing import Any

from celery import Celery, bootsteps

from shared.redis.connection import RedisHealth
from worker.schedule import Periodic

_log = logging.getLogger(__name__)

# Never through somebody else's link, nor waiting for who reads somebody else's pipe.
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Heartbeat:
    """`interval` is in seconds: how often the consumer's timer and `beat` are called."""

    def __init__(self, path: Path, broker: RedisHealth, interval: float) -> None:
        self._path = path
        self._broker = broker
        self._interval = interval
        self._ticked_at: float | None = None

    def install(self, app: Celery) -> None:
        """Have each consumer of this process tick while it runs."""
        heartbeat = self

        class Ticking(bootsteps.StartStopStep):  # type: ignore[misc]  # untyped
            requires = ("celery.worker.consumer.tasks:Tasks",)
            timer: Any = None

            def start(self, consumer: Any) -> None:  # noqa: ANN401 - Celery's, untyped
                heartbeat.tick()
                self.timer = consumer.timer.call_repeatedly(heartbeat._interval, heartbeat.tick)

            def stop(self, consumer: Any) -> None:  # noqa: ANN401, ARG002, RUF100
                if self.timer is not None:
                    self.timer.cancel()
                    self.timer = None

        app.steps["consumer"].add(Ticking)

    def periodic(self) -> Periodic:
        return Periodic("heartbeat", self.beat, self._interval, self._interval)

    def tick(self) -> None:
        self._ticked_at = time.monotonic()

    def beat(self) -> None:
        """Touch the file if the consumer is alive. Raises ServiceUnavailableError."""
        ticked_at = self._ticked_at
        if ticked_at is None or time.monotonic() - ticked_at > 2 * self._interval:
            return
        self._broker.ping()
        try:
            self._touch()
        except OSError as error:
            _log.warning("the heartbeat file %s can't be written: %s", self._path, error.strerror)

    def _touch(self) -> None:
        file = os.open(self._path, _FLAGS, 0o600)
        try:
            os.utime(file)
        finally:
            os.close(file)
