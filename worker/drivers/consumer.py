"""garth's OAuth consumer, from a file that can be gone, slow or wrong any day.

It lies in the private bucket of garth's author. Each fetch runs in a thread of its own, so that no
sign-in waits longer than `Timings.consumer_answer`, whatever hangs: a name server, a connection, an
answer that drips, Redis.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import requests

from shared.errors import DriverFailedError, ServiceUnavailableError
from shared.garmin.types import OAuthConsumer
from worker.drivers.driver import Permit, Until
from worker.drivers.http import GarminAdapter

URL = "https://thegarth.s3.amazonaws.com/oauth_consumer.json"
_log = logging.getLogger(__name__)


class ConsumerStore(Protocol):
    """Keeps the consumer, as JSON, for the next process. Raises ServiceUnavailableError."""

    def load(self) -> bytes | None: ...

    def save(self, consumer: bytes) -> None: ...


class ConsumerSource:
    """The consumer of a process, for all its threads: from memory, the store or the file."""

    def __init__(self, adapter: GarminAdapter, store: ConsumerStore | None = None) -> None:
        self._adapter = adapter
        self._store = store
        self._consumer: OAuthConsumer | None = None
        self._first = _SharedCall(self._find)
        self._newest = _SharedCall(self._fetch)

    def get(self, permit: Permit) -> OAuthConsumer:
        """Raise DriverFailedError if it can't be had within a few seconds."""
        if self._consumer is None:
            permit.check()
            found = self._wait(self._first)
            if found is None:
                raise DriverFailedError
            return found
        return self._consumer

    def replace(self, refused: OAuthConsumer, permit: Permit) -> OAuthConsumer | None:
        """Fetch the file again after Garmin refused a consumer; return another one, if any."""
        if self._consumer in (None, refused):
            permit.check()
            self._wait(self._newest)
        return None if self._consumer == refused else self._consumer

    def _wait(self, call: "_SharedCall") -> OAuthConsumer | None:
        timings = self._adapter.timings
        return call.result(timings.consumer_answer, timings.consumer_retry)

    def _find(self) -> OAuthConsumer | None:
        kept = self._kept()
        if kept is None:
            return self._fetch()
        self._consumer = kept
        return kept

    def _kept(self) -> OAuthConsumer | None:
        try:
            kept = self._store.load() if self._store else None
            return OAuthConsumer.from_revealed(kept) if kept else None
        except (ServiceUnavailableError, ValueError) as error:
            _log.warning("garth's OAuth consumer in Redis: %s", type(error).__name__)
            return None

    def _get(self, permit: Permit) -> requests.Response:
        with self._adapter.session(self._adapter.route("garth", permit)) as session:
            return session.get(URL, allow_redirects=False)

    def _fetch(self) -> OAuthConsumer | None:
        permit = Until(time.monotonic() + self._adapter.timings.consumer_answer)
        response = self._adapter.proxies.until_connected("garth", partial(self._get, permit))
        if response.status_code != 200:
            _log.warning("garth's OAuth consumer file: HTTP %s", response.status_code)
            return None
        consumer = OAuthConsumer.from_revealed(response.content)
        self._consumer = consumer
        if self._store:
            try:
                self._store.save(consumer.reveal())
            except ServiceUnavailableError:
                _log.warning("Redis did not keep garth's OAuth consumer")
        return consumer


@dataclass
class _Attempt:
    began: float
    outcome: Future[OAuthConsumer | None] = field(default_factory=Future)


class _SharedCall:
    """A call that many threads need at once: made once, in a thread of its own."""

    def __init__(self, call: Callable[[], OAuthConsumer | None]) -> None:
        self._call = call
        self._lock = threading.Lock()
        self._attempt: _Attempt | None = None

    def result(self, timeout: float, pause: float) -> OAuthConsumer | None:
        """Return the outcome of an attempt that began in the last `pause` seconds.

        Nobody waits beyond its first `timeout` seconds. None: it failed, or has no outcome yet.
        """
        attempt = self._current(pause)
        left = attempt.began + timeout - time.monotonic()
        try:
            return attempt.outcome.result(max(0.0, left))
        except FutureTimeoutError:
            return None

    def _current(self, pause: float) -> _Attempt:
        with self._lock:
            now = time.monotonic()
            if self._attempt is None or now - self._attempt.began > pause:
                self._attempt = _Attempt(now)
                threading.Thread(target=self._run, args=(self._attempt,), daemon=True).start()
            return self._attempt

    def _run(self, attempt: _Attempt) -> None:
        try:
            outcome = self._call()
        except Exception as error:
            _log.warning("garth's OAuth consumer file: %s", type(error).__name__)
            outcome = None
        attempt.outcome.set_result(outcome)
