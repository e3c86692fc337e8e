"""Runs operations over httpx. Redirects are never followed: requests carry secrets."""

import asyncio
import concurrent.futures
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from typing import TypeVar

import httpx

from fittrack_auth_client.address import Server
from fittrack_auth_client.errors import (
    AnswerLostError,
    FitTrackAuthError,
    ServiceUnreachableError,
    TlsError,
    UnexpectedAnswerError,
    UsageError,
)
from fittrack_auth_client.exchange import Operation, Reply, Request, Waiting
from fittrack_auth_client.retries import parse_retry_after

CONNECT_SECONDS = 5.0
LARGEST_ANSWER = 1 << 20

T = TypeVar("T")
HttpT = TypeVar("HttpT", httpx.Client, httpx.AsyncClient)

# What OpenSSL says of a server that answers in plain text.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})

# Raised before a byte of the request is sent.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class SyncTransport:
    """Uses `http` if it is given, and leaves it open."""

    def __init__(self, server: Server, timeout: float, http: httpx.Client | None) -> None:
        self._server = server
        self._timeout = timeout
        self._is_own = http is None
        self._http = new_http(httpx.Client, server) if http is None else http

    def close(self) -> None:
        if self._is_own:
            self._http.close()

    def run(self, operation: Operation[T]) -> T:
        with closing(operation):
            try:
                step = next(operation)
                while True:
                    try:
                        reply = self._take(step)
                    except FitTrackAuthError as error:
                        step = operation.throw(error)
                    else:
                        step = operation.send(reply)
            except StopIteration as stop:
                result: T = stop.value
                return result

    def _take(self, step: Request | Waiting) -> Reply:
        if isinstance(step, Request):
            return self._exchange(step)
        concurrent.futures.wait([step.ended], step.seconds)
        return step.reply

    def _exchange(self, request: Request) -> Reply:
        if request.delay:
            time.sleep(request.delay)
        with _translated_errors(request):
            body = _Body(2 * self._timeout + request.wait)
            built = _build(self._http, self._server, request, self._timeout)
            response = self._http.send(built, stream=True, follow_redirects=False)
            try:
                for piece in response.iter_bytes():
                    body.add(piece)
            finally:
                response.close()
        return _reply(response, body)


class AsyncTransport:
    """The same for asyncio."""

    def __init__(self, server: Server, timeout: float, http: httpx.AsyncClient | None) -> None:
        self._server = server
        self._timeout = timeout
        self._is_own = http is None
        self._http = new_http(httpx.AsyncClient, server) if http is None else http

    async def close(self) -> None:
        if self._is_own:
            await self._http.aclose()

    async def run(self, operation: Operation[T]) -> T:
        with closing(operation):
            try:
                step = next(operation)
                while True:
                    try:
                        reply = await self._take(step)
                    except FitTrackAuthError as error:
                        step = operation.throw(error)
                    else:
                        step = operation.send(reply)
            except StopIteration as stop:
                result: T = stop.value
                return result

    async def _take(self, step: Request | Waiting) -> Reply:
        if isinstance(step, Request):
            return await self._exchange(step)
        await asyncio.wait([asyncio.wrap_future(step.ended)], timeout=step.seconds)
        return step.reply

    async def _exchange(self, request: Request) -> Reply:
        if request.delay:
            await asyncio.sleep(request.delay)
        with _translated_errors(request):
            body = _Body(2 * self._timeout + request.wait)
            built = _build(self._http, self._server, request, self._timeout)
            response = await self._http.send(built, stream=True, follow_redirects=False)
            try:
                async for piece in response.aiter_bytes():
                    body.add(piece)
            finally:
                await response.aclose()
        return _reply(response, body)


class _Body:
    """Collects a body of limited size, within `seconds`: pieces may come slowly for ever."""

    def __init__(self, seconds: float) -> None:
        self.content = bytearray()
        self._until = time.monotonic() + seconds

    def add(self, piece: bytes) -> None:
        self.content += piece
        if len(self.content) > LARGEST_ANSWER:
            raise UnexpectedAnswerError("it is too large")
        if time.monotonic() > self._until:
            raise httpx.ReadTimeout("the answer comes too slowly")


def new_http(kind: type[HttpT], server: Server) -> HttpT:
    """A service on this machine is never asked through a proxy. Raises UsageError."""
    try:
        return kind(
            verify=_tls_context(server),
            trust_env=not server.is_this_machine,
            limits=httpx.Limits(max_connections=None),  # each long poll holds one
            headers={"User-Agent": f"fittrack-auth-client/{version('fittrack-auth-client')}"},
        )
    except (ValueError, ImportError, OSError, httpx.InvalidURL) as error:
        raise UsageError(type(error).__name__, code="bad_environment") from None


def _tls_context(server: Server) -> ssl.SSLContext:
    """Trusts what SSL_CERT_FILE or SSL_CERT_DIR names, else the usual authorities and this
    machine's own. Where no TLS is spoken, nobody: loading them takes time.
    """
    if server.is_plain and server.is_this_machine:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = httpx.create_ssl_context()
    context.load_default_certs()
    return context


def _build(
    http: httpx.Client | httpx.AsyncClient, server: Server, request: Request, timeout: float
) -> httpx.Request:
    headers = {"Accept": "application/json", **request.headers}
    content = request.content()
    if content is not None:
        headers["Content-Type"] = "application/json"
    wait = {"wait": str(request.wait)} if request.wait else {}
    return http.build_request(
        request.method,
        server.url + request.path,
        headers=headers,
        content=content,
        params={**wait, **request.params} or None,
        timeout=httpx.Timeout(timeout + request.wait, connect=CONNECT_SECONDS),
    )


def _reply(response: httpx.Response, body: _Body) -> Reply:
    return Reply(
        status=response.status_code,
        body=bytes(body.content),
        retry_after=parse_retry_after(response.headers.get("Retry-After")),
        request_id=response.headers.get("X-Request-Id"),
        location=response.headers.get("Location"),
    )


@contextmanager
def _translated_errors(request: Request) -> Iterator[None]:
    """httpx's errors as this package's. Those of httpx hold the request, and so its secrets."""
    try:
        yield
    except _NEVER_SENT as error:
        raise _not_sent(error) from None
    except httpx.DecodingError:
        raise UnexpectedAnswerError("it can't be decoded") from None
    except (httpx.TransportError, httpx.StreamError):
        if request.is_submission:
            raise AnswerLostError from None
        raise ServiceUnreachableError("the connection broke") from None


def _not_sent(error: httpx.TransportError) -> FitTrackAuthError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return TlsError(_tls_fault(cause))
        cause = cause.__cause__ or cause.__context__
    silent = isinstance(error, httpx.ConnectTimeout | httpx.ProxyError)
    return ServiceUnreachableError(type(error).__name__ if silent else "")


def _tls_fault(error: ssl.SSLError) -> str:
    if error.reason in _NO_TLS:
        return "what answers here does not speak https"
    return getattr(error, "verify_message", "") or ""
