"""Both clients, called in one way, so that one suite runs over both."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypedDict, Unpack, cast

from fittrack_auth_client import AsyncFitTrackAuth, FitTrackAuth, Secret
from fittrack_auth_client.retries import OnRetry


class Options(TypedDict, total=False):
    client_key: str | Secret
    insecure_http: bool
    timeout: float
    max_retries: int
    on_retry: OnRetry


class Connect(Protocol):
    def __call__(self, url: str, **options: Unpack[Options]) -> FitTrackAuth: ...


class Blocking:
    """AsyncFitTrackAuth, called like FitTrackAuth: each call runs until it is done."""

    def __init__(self, url: str, **options: Unpack[Options]) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncFitTrackAuth(url, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *arguments, **options: self._runner.run(method(*arguments, **options))

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


def blocking(url: str, **options: Unpack[Options]) -> FitTrackAuth:
    return cast("FitTrackAuth", Blocking(url, **options))
