"""The middleware of every request: its id, metrics, security headers, and unhandled errors."""

import logging
import re
import time
import uuid
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import error_response
from api.metrics import Metrics
from shared.errors import FitTrackError
from shared.logs.context import request_context
from shared.logs.locations import where
from shared.logs.redaction import redacted

_METHODS = {"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"}
_CLIENT_LEFT = 499  # as nginx has it: the client closed the connection
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_log = logging.getLogger(__name__)


class RequestIdMiddleware:
    """Give every request an id: its client's `X-Request-Id` if that is valid, else a new one.

    It is on the request's log lines, in the reply's header, and in `request.state.request_id`.
    An id that looks like a secret is not valid: it must not be logged.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get("X-Request-Id", "")
        valid = _REQUEST_ID.fullmatch(sent) and redacted(sent) == sent
        request_id = sent if valid else str(uuid.uuid4())
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        with request_context(request_id):
            await self._app(scope, receive, send_with_id)


class SecurityHeaders:
    """No reply is cached or sniffed unless its endpoint says otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Content-Security-Policy", "default-src 'none'")
                headers.setdefault("Referrer-Policy", "no-referrer")
            await send(message)

        await self._app(scope, receive, send_safely if scope["type"] == "http" else send)


class WithoutServerHeader:
    """No reply names the server, also where uvicorn was started without `--no-server-header`.

    uvicorn adds what it calls default headers after the application has answered; the callable it
    hands over is a method of what holds them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cycle: Any = getattr(send, "__self__", None)
        if hasattr(cycle, "default_headers"):
            kept = [pair for pair in cycle.default_headers if pair[0].lower() != b"server"]
            cycle.default_headers = kept
        await self._app(scope, receive, send)


class RequestMetrics:
    """Counts requests by the route they matched, never by their path, which holds ids."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), _CLIENT_LEFT

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            route = getattr(scope.get("route"), "path_format", "none")
            # A client may invent any number of methods.
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.count(
                "none" if route == "none" else method, route, status, time.perf_counter() - started
            )


class CatchUnhandled:
    """A bug becomes a 500 that tells nothing, and a log line without the error's text."""

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
            _log.error("bug: %s", where(error))  # noqa: TRY400, RUF100 - the text can hold a secret
            if scope["type"] != "http" or started:
                return
            answer = error_response(FitTrackError())
            await answer(scope, receive, send_and_note)
