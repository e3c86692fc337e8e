"""How one call of a driver reaches Garmin: until when, by which proxy, and what the log says."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from shared.errors import (
    AnswerShape,
    GarminUnavailableError,
    GarminUnreachableError,
    SignInAgainError,
)
from shared.timings import PRODUCTION, Timings
from worker.drivers import causes
from worker.drivers.causes import Cause
from worker.drivers.driver import Permit
from worker.drivers.observer import GarminObserver, Nobody
from worker.drivers.proxies import Proxy
from worker.drivers.shapes import HttpAnswer, shape_of
from worker.drivers.steps import step_of

_log = logging.getLogger(__name__)

_REFUSALS = {403, 427, 429}

RESULTS = ("ok", "refused", "rejected", "server_error", "timeout", "broken", "unreachable")
"""How a request ended: by the answer's status, or by why there is none."""

_SHORTEST = 0.05  # curl takes a limit of 0 ms for none


@dataclass
class Route:
    """A permit with what else a request needs; both libraries' sessions send by one."""

    driver: str
    permit: Permit
    timings: Timings = PRODUCTION
    proxy: Proxy | None = None
    observer: GarminObserver = field(default_factory=Nobody)
    posted: bool = False
    """Whether Garmin may have seen a secret: all of them are posted."""

    failure: GarminUnavailableError | None = None
    """What the last request raised, if it got no answer."""

    cause: Cause | None = None

    _last: tuple[str, HttpAnswer] | None = None
    """The last answer, and its step."""

    _began: float = 0.0
    """When the last request began, on the monotonic clock."""

    def check(self) -> float | None:
        """Return the job's seconds left. Raises what the permit raises."""
        return self.permit.check()

    def limits(self) -> tuple[float, float]:
        """Return the seconds for connecting, and for the whole answer from now on.

        Raises what the permit raises.
        """
        left, whole = self.permit.check(), self.timings.garmin_answer
        self.failure, self.cause, self._last = None, None, None
        self._began = time.monotonic()
        if left is not None:
            whole = max(_SHORTEST, min(whole, left))
        return min(self.timings.garmin_connect, whole), whole

    def answered(self, method: str, url: str, response: HttpAnswer) -> None:
        """Take note of an answer; a refusal or a failure is logged."""
        self.posted = self.posted or method == "POST"
        step = step_of(method, url)
        self._last = step, response
        self._note(step, _result(response.status_code))
        if response.status_code >= 400:
            self._log(method, url, f"status {response.status_code}")

    def failed(self, method: str, url: str, cause: Cause) -> GarminUnavailableError:
        """Log why there is no answer; return what to raise."""
        self.posted = self.posted or (cause.connected and method == "POST")
        self.cause = cause
        self._note(step_of(method, url), _result_without_answer(cause))
        self._log(method, url, cause.text)
        if cause.broken:
            self.failure = GarminUnavailableError()
        else:
            self.failure = GarminUnreachableError(unsent=not self.posted)
        return self.failure

    @contextmanager
    def describing(self) -> Iterator[None]:
        """Report the last answer where an error means that nobody knows it.

        Garmin answered, and the reader had nothing better to say than "unavailable", or, after a
        right code, "sign in again".
        """
        try:
            yield
        except (GarminUnavailableError, SignInAgainError):
            step, response = self._last or ("", None)
            self._last = None  # so that it is reported once
            known = response is None or response.status_code in _REFUSALS
            if response and not known and not self.failure and response.status_code < 500:
                self._report(shape_of(step, response))
            raise

    def _report(self, shape: AnswerShape) -> None:
        _log.warning(
            "%s, %s: an answer nobody knows: status %d, %s, %d bytes, keys %s, page %s",
            self.driver,
            shape.step,
            shape.status,
            shape.content_type,
            shape.length,
            " ".join(shape.keys) or "none",
            repr(shape.title) if shape.title else "none",
        )
        self.observer.unknown(self.driver, shape.step)

    def _note(self, step: str, result: str) -> None:
        self.observer.sent(self.driver, step, result, time.monotonic() - self._began)

    def _log(self, method: str, url: str, text: str) -> None:
        by = f" (by the proxy {self.proxy.address})" if self.proxy else ""
        host = urlsplit(url).hostname
        _log.info("%s, %s: %s: %s%s", self.driver, step_of(method, url), host, text, by)


def _result(status: int) -> str:
    if status < 400:
        return "ok"
    if status in _REFUSALS:
        return "refused"
    return "rejected" if status < 500 else "server_error"


def _result_without_answer(cause: Cause) -> str:
    if not cause.connected:
        return "unreachable"
    return "timeout" if cause in (causes.ANSWER_TIMEOUT, causes.BODY_TIMEOUT) else "broken"
