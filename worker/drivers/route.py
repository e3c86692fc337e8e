"""How one call of a driver reaches Garmin: until when, by which proxy, and what the log says."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.errors import GarminUnavailableError, GarminUnreachableError
from shared.timings import PRODUCTION, Timings
from worker.drivers.causes import Cause
from worker.drivers.driver import Permit
from worker.drivers.proxies import Proxy
from worker.drivers.shapes import HttpAnswer, shape_of
from worker.drivers.steps import step_of

_log = logging.getLogger(__name__)

_KNOWN = {403, 427, 429}
_SHORTEST = 0.05  # curl takes a limit of 0 ms for none


@dataclass
class Route:
    """A permit with what else a request needs; both libraries' sessions send by one."""

    driver: str
    permit: Permit
    timings: Timings = PRODUCTION
    proxy: Proxy | None = None
    posted: bool = False
    """Whether Garmin may have seen a secret: all of them are posted."""

    failure: GarminUnavailableError | None = None
    """What the last request raised, if it got no answer."""

    cause: Cause | None = None

    _last: tuple[str, HttpAnswer] | None = None
    """The last answer, and its step."""

    def check(self) -> float | None:
        """Return the job's seconds left. Raises what the permit raises."""
        return self.permit.check()

    def limits(self) -> tuple[float, float]:
        """Return the seconds for connecting, and for the whole answer from now on.

        Raises what the permit raises.
        """
        left, whole = self.permit.check(), self.timings.garmin_answer
        self.failure, self.cause, self._last = None, None, None
        if left is not None:
            whole = max(_SHORTEST, min(whole, left))
        return min(self.timings.garmin_connect, whole), whole

    def answered(self, method: str, url: str, response: HttpAnswer) -> None:
        """Take note of an answer; a refusal or a failure is logged."""
        self.posted = self.posted or method == "POST"
        self._last = step_of(method, url), response
        if response.status_code >= 400:
            self._log(method, url, f"status {response.status_code}")

    def failed(self, method: str, url: str, cause: Cause) -> GarminUnavailableError:
        """Log why there is no answer; return what to raise."""
        self.posted = self.posted or (cause.connected and method == "POST")
        self.cause = cause
        self._log(method, url, cause.text)
        if cause.broken:
            self.failure = GarminUnavailableError()
        else:
            self.failure = GarminUnreachableError(unsent=not self.posted)
        return self.failure

    @contextmanager
    def describing(self) -> Iterator[None]:
        """Add the last answer's shape to an error that means that nobody knows the answer.

        Garmin answered, and the reader had nothing better to say than "unavailable".
        """
        try:
            yield
        except GarminUnavailableError as error:
            step, response = self._last or ("", None)
            known = response is None or response.status_code in _KNOWN
            if response and not known and not self.failure and response.status_code < 500:
                error.unknown = shape_of(step, response)
            raise

    def _log(self, method: str, url: str, text: str) -> None:
        by = f" (by the proxy {self.proxy.address})" if self.proxy else ""
        host = urlsplit(url).hostname
        _log.info("%s, %s: %s: %s%s", self.driver, step_of(method, url), host, text, by)
