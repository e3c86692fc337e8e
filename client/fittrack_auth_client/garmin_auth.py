"""Puts a Garmin token on requests of httpx, and another one where Garmin refuses it.

A token goes to the API it is for and to no other address.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from functools import partial
from typing import Protocol, TypeAlias

import httpx

from fittrack_auth_client.errors import UsageError
from fittrack_auth_client.models import Token
from fittrack_auth_client.secret import Secret

PROBATION_SECONDS = 60.0
"""A renewed token that Garmin has not accepted yet is not replaced again for that long."""
_UNAUTHORIZED = 401

IsFor: TypeAlias = Callable[[Token, str], bool]


class GetToken(Protocol):
    def __call__(self, rejected: Secret | None = None) -> Token: ...


class GetTokenAsync(Protocol):
    def __call__(self, rejected: Secret | None = None) -> Awaitable[Token]: ...


class Renewals:
    """Tells a dead token from a request that Garmin answers with 401 whatever the token is."""

    def __init__(self) -> None:
        self._on_probation: tuple[Secret, float] | None = None

    def may_help(self, token: Token, status: int) -> bool:
        """Return whether the same request may succeed with another token."""
        secret, since = self._on_probation or (None, 0.0)
        is_on_probation = secret == token.access_token
        if status != _UNAUTHORIZED:
            if is_on_probation:
                self._on_probation = None
            return False
        return not is_on_probation or time.monotonic() - since > PROBATION_SECONDS

    def begin_probation(self, token: Token) -> None:
        self._on_probation = (token.access_token, time.monotonic())


class AsyncHttpxAuth(httpx.Auth):
    """For httpx.AsyncClient alone."""

    def __init__(self, get_token: GetTokenAsync) -> None:
        self._get_token_async = get_token
        self._renewals = Renewals()

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        raise UsageError("an httpx.Client needs the auth of a FitTrackAuth", code="bad_input")

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        await request.aread()
        token = await self._get_token_async()
        response = yield _signed(request, token)
        if self._may_help(token, response):
            other = await self._get_token_async(rejected=token.access_token)
            self._renewals.begin_probation(other)
            response = yield _signed(request, other)
            self._may_help(other, response)

    def _may_help(self, token: Token, response: httpx.Response) -> bool:
        is_from_garmin = is_for_api(token, str(response.request.url))
        return is_from_garmin and self._renewals.may_help(token, response.status_code)


class HttpxAuth(AsyncHttpxAuth):
    """For both clients of httpx. In an AsyncClient, a thread asks for the token."""

    def __init__(self, get_token: GetToken) -> None:
        super().__init__(partial(asyncio.to_thread, get_token))
        self._get_token = get_token

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        request.read()  # so that it can be sent twice
        token = self._get_token()
        response = yield _signed(request, token)
        if self._may_help(token, response):
            other = self._get_token(rejected=token.access_token)
            self._renewals.begin_probation(other)
            response = yield _signed(request, other)
            self._may_help(other, response)


def is_for_api(token: Token, url: str) -> bool:
    return _origin(url) == _origin(token.api_base)


def _signed(request: httpx.Request, token: Token) -> httpx.Request:
    request.headers["Authorization"] = header(token, str(request.url), is_for_api)
    return request


def header(token: Token, url: str, is_for: IsFor) -> str:
    """Raises UsageError where the token would go to somebody else."""
    if not is_for(token, url):
        raise UsageError(f"this token is for {token.api_base} alone", code="bad_input")
    return f"Bearer {token.access_token.reveal()}"


def _origin(text: str) -> tuple[str, str, int | None]:
    url = httpx.URL(text)
    return url.scheme, url.host, url.port
