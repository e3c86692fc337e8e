"""Puts a Garmin token on requests of httpx or requests, and another one where Garmin refuses it.

A token goes to the API it is for and to no other address.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from fittrack_auth_client.errors import UsageError
from fittrack_auth_client.models import Token
from fittrack_auth_client.secret import Secret

if TYPE_CHECKING:
    import requests

_UNAUTHORIZED = 401


class GetToken(Protocol):
    def __call__(self, rejected: Secret | None = None) -> Token: ...


class GetTokenAsync(Protocol):
    def __call__(self, rejected: Secret | None = None) -> Awaitable[Token]: ...


class HttpxAuth(httpx.Auth):
    """For both clients of httpx. In an AsyncClient, a thread asks for the token."""

    def __init__(self, get_token: GetToken) -> None:
        self._get_token = get_token

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        request.read()  # so that it can be sent twice
        token = self._get_token()
        response = yield _signed(request, token)
        if _is_refused(response, token):
            yield _signed(request, self._get_token(rejected=token.access_token))

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        await request.aread()
        token = await asyncio.to_thread(self._get_token)
        response = yield _signed(request, token)
        if _is_refused(response, token):
            other = await asyncio.to_thread(self._get_token, rejected=token.access_token)
            yield _signed(request, other)


class AsyncHttpxAuth(httpx.Auth):
    """For httpx.AsyncClient alone."""

    def __init__(self, get_token: GetTokenAsync) -> None:
        self._get_token = get_token

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        raise UsageError("an httpx.Client needs the auth of a FitTrackAuth", code="bad_input")

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        await request.aread()
        token = await self._get_token()
        response = yield _signed(request, token)
        if _is_refused(response, token):
            yield _signed(request, await self._get_token(rejected=token.access_token))


class RequestsAuth:
    """For `auth=` of requests, which takes any callable: requests itself is not imported."""

    def __init__(self, get_token: GetToken) -> None:
        self._get_token = get_token

    def __call__(self, request: "requests.PreparedRequest") -> "requests.PreparedRequest":
        token = self._get_token()
        request.headers["Authorization"] = _header(token, str(request.url))
        repeat = self._repeat(token, _position(request.body))
        request.register_hook("response", repeat)  # type: ignore[no-untyped-call]
        return request

    def _repeat(self, token: Token, position: int | None) -> "Callable[..., requests.Response]":
        """Return a hook that sends a refused request once more, if its body allows that."""

        def repeat(response: "requests.Response", **options: Any) -> "requests.Response":  # noqa: ANN401
            request = response.request.copy()
            url = str(request.url)
            is_refused = response.status_code == _UNAUTHORIZED and _is_for(token, url)
            if not is_refused or not _rewind(request.body, position):
                return response
            _ = response.content  # so that the connection can be used again
            response.close()
            other = self._get_token(rejected=token.access_token)
            request.headers["Authorization"] = _header(other, url)
            repeated: requests.Response = response.connection.send(request, **options)
            repeated.history.append(response)
            repeated.request = request
            return repeated

        return repeat


def _signed(request: httpx.Request, token: Token) -> httpx.Request:
    request.headers["Authorization"] = _header(token, str(request.url))
    return request


def _is_refused(response: httpx.Response, token: Token) -> bool:
    return response.status_code == _UNAUTHORIZED and _is_for(token, str(response.request.url))


def _header(token: Token, url: str) -> str:
    """Raises UsageError where the token would go to somebody else."""
    if not _is_for(token, url):
        raise UsageError(f"this token is for {token.api_base} alone", code="bad_input")
    return f"Bearer {token.access_token.reveal()}"


def _is_for(token: Token, url: str) -> bool:
    return _origin(url) == _origin(token.api_base)


def _origin(text: str) -> tuple[str, str, int | None]:
    url = httpx.URL(text)
    return url.scheme, url.host, url.port


def _position(body: object) -> int | None:
    tell = getattr(body, "tell", None)
    try:
        return None if tell is None else int(tell())
    except OSError:
        return None


def _rewind(body: object, position: int | None) -> bool:
    """Whether the body can be sent again: a generator can't."""
    if body is None or isinstance(body, str | bytes):
        return True
    if position is None:
        return False
    body.seek(position)  # type: ignore[attr-defined]
    return True
