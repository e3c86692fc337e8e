"""The operator's proxies to Garmin: the first that Garmin does not refuse is used.

Without any, both libraries follow HTTPS_PROXY and NO_PROXY from the environment. With one, nothing
that goes to Garmin follows them.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from shared.errors import GarminUnreachableError, ServiceUnavailableError

_log = logging.getLogger(__name__)

_REFUSED_FOR = 3600
"""Seconds to leave a proxy whose address Garmin refuses, unless Garmin says how long."""

_BROKEN_FOR = 60
"""Seconds for which no driver takes a proxy by which Garmin could not be reached."""

_LONGEST = 86_400


@dataclass(frozen=True)
class Proxy:
    name: str
    """For Redis: says nothing of the URL."""

    url: SecretStr = field(repr=False)

    @property
    def address(self) -> str:
        """Host and port, for the log."""
        return urlsplit(self.url.get_secret_value()).netloc.rpartition("@")[2]


class ProxyMarks(Protocol):
    """Which driver has left which proxy, and for how long; see `LeftProxies`."""

    def leave(self, driver: str | None, proxy: str, seconds: int) -> None: ...
    def remaining(self, driver: str, proxies: Sequence[str]) -> list[int]: ...


class GarminProxies:
    """Safe to share between threads. If Redis does not answer, the first proxy is used."""

    def __init__(self, proxies: Sequence[Proxy] = (), marks: ProxyMarks | None = None) -> None:
        self._proxies = proxies
        self._marks = marks

    def __len__(self) -> int:
        return len(self._proxies)

    def current(self, driver: str) -> Proxy | None:
        """Return the first proxy that the driver has not left, else the one it may retake next."""
        if not self._proxies:
            return None
        remaining = self._remaining(driver)
        return self._proxies[remaining.index(min(remaining))]

    def leave_refused(self, driver: str, proxy: Proxy | None, retry_after: int | None) -> bool:
        """Take another proxy from now on, as Garmin refuses this one; return whether there is one.

        Without another one, the driver itself rests.
        """
        seconds = max(_BROKEN_FOR, min(retry_after or _REFUSED_FOR, _LONGEST))
        return self._leave(driver, driver, proxy, seconds)

    def until_connected[T](self, driver: str, call: Callable[[], T]) -> T:
        """Call, and once more by each further proxy, as long as nothing was sent by the one before.

        All drivers leave for a while what did not work.
        """
        for _ in range(len(self._proxies) - 1):
            proxy = self.current(driver)
            try:
                return call()
            except GarminUnreachableError as failure:
                if not failure.unsent or not self._leave(driver, None, proxy, _BROKEN_FOR):
                    raise
        return call()

    def _leave(self, driver: str, whose: str | None, proxy: Proxy | None, seconds: int) -> bool:
        if self._marks is None or proxy is None or len(self._proxies) < 2:
            return False
        try:
            self._marks.leave(whose, proxy.name, seconds)
        except ServiceUnavailableError:
            return False
        _log.info("the proxy %s is left for %d s", proxy.address, seconds)
        return 0 in self._remaining(driver)

    def _remaining(self, driver: str) -> list[int]:
        if self._marks is not None and len(self._proxies) > 1:
            with suppress(ServiceUnavailableError):
                return self._marks.remaining(driver, [proxy.name for proxy in self._proxies])
        return [0 for _ in self._proxies]
