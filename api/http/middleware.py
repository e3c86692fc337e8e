"""The middleware of every request: its id, metrics, security headers, and unhandled errors."""

import errno
import logging
import re
import time
import uuid
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import error_response
from api.metrics import Metrics
from shared.errors import FitTrackError, ServiceUnavailableError
from shared.logs.context import request_context
from shared.logs.locations import where
from shared.logs.redaction import redacted

_METHODS = {"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"}
_CLIENT_CLOSED_REQUEST = 499
"""nginx's status for a client that left before it had an answer."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SAFE_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
"""Of a reply whose endpoint does not say otherwise: neither cached nor sniffed."""

_log = logging.getLogger(__name__)


class RequestMiddleware:
    """Give every request an id, its reply safe headers, and count it.

    The id is the client's `X-Request-Id` if that is well-formed and does not look like a secret,
    else a new one. It stands on the request's log lines, in the reply's header, and in
    `request.state.request_id`. Requests are counted by the route they matched, never by their
    path, which holds ids.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.perf_counter(), _CLIENT_CLOSED_REQUEST

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, request_id)
            await send(message)

        with request_context(request_id):
            try:
                await self._app(scope, receive, send_with_headers)
            finally:
                self._count(scope, status, time.perf_counter() - started)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path_format", "none")
        # A client may invent any number of methods.
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.count("none" if route == "none" else method, route, status, seconds)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            sent: str = value.decode("latin-1")
            if _REQUEST_ID.fullmatch(sent) and redacted(sent) == sent:
                return sent
            break
    return str(uuid.uuid4())


def _add_headers(message: Message, request_id: str) -> None:
    """Add the request's id, and safe headers unless the endpoint has set them."""
    headers = list(message.get("headers", ()))
    present = {name for name, _ in headers}
    headers += [header for header in _SAFE_HEADERS if header[0] not in present]
    headers.append((b"x-request-id", request_id.encode()))
    message["headers"] = headers


class WithoutServerHeader:
    """Name the server in no reply, even if uvicorn runs without `--no-server-header`.

    uvicorn adds its default headers after the application has answered; the `send` it passes is a
    method of the object that holds them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cycle: Any = getattr(send, "__self__", None)
        if hasattr(cycle, "default_headers"):
            kept = [pair for pair in cycle.default_headers if pair[0].lower() != b"server"]
            cycle.default_headers = kept
        await self._app(scope, receive, send)


class CatchUnhandled:
    """Turn an unhandled exception into a plain 500, and a log line without the error's text.

    Too many open files are a 503: whatever needed one can be tried again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except ClientDisconnect:
            return
        except Exception as error:
            # Not `exception`: the error's text can hold a secret.
            if _out_of_files(error):
                _log.error("no file descriptor is free: allow more open files")  # noqa: TRY400, RUF100
                answer = error_response(ServiceUnavailableError("open files"))
            else:
                _log.error("bug: %s", where(error))  # noqa: TRY400, RUF100
                answer = error_response(FitTrackError())
            if scope["type"] != "http" or started:
                return
            await answer(scope, receive, send_and_note)


def _out_of_files(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
            return True
        error = error.__cause__ or error.__context__
    return False
