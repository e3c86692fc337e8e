"""Who is told of each request to Garmin."""

from typing import Protocol


class GarminObserver(Protocol):
    """Safe to use from many threads."""

    def sent(self, driver: str, step: str, result: str, seconds: float) -> None:
        """Take note of a request and of how it ended: see `route.RESULTS`."""

    def unknown(self, driver: str, step: str) -> None:
        """Take note of an answer that nobody knows."""


class Nobody:
    """Takes note of nothing."""

    def sent(self, driver: str, step: str, result: str, seconds: float) -> None: ...

    def unknown(self, driver: str, step: str) -> None: ...
