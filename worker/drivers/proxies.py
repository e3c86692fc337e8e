"""The operator's proxies to Garmin: the first that Garmin does not refuse is used.

Without any, both libraries follow HTTPS_PROXY and NO_PROXY from the environment. With one, nothing
that goes to Garmin follows them.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from shared.errors import ServiceUnavailableError

REFUSED_FOR = 3600
"""Seconds to leave a proxy whose address Garmin refuses, unless Garmin says how long."""

FAILED_FOR = 60
"""Seconds to leave a proxy by which Garmin could not be reached."""

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

    def leave(self, driver: str, proxy: str, seconds: int) -> None: ...
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

    def leave(self, driver: str, proxy: Proxy | None, seconds: int) -> bool:
        """Take another proxy from now on; return whether there is one."""
        if self._marks is None or proxy is None or len(self._proxies) < 2:
            return False
        try:
            self._marks.leave(driver, proxy.name, max(1, min(seconds, _LONGEST)))
        except ServiceUnavailableError:
            return False
        return 0 in self._remaining(driver)

    def _remaining(self, driver: str) -> list[int]:
        if self._marks is not None and len(self._proxies) > 1:
            with suppress(ServiceUnavailableError):
                return self._marks.remaining(driver, [proxy.name for proxy in self._proxies])
        return [0 for _ in self._proxies]
