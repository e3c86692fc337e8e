"""A stand-in for the service: speaks its HTTP contract, by script."""

import json
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

LOGIN = "POST /api/garmin/login"
CODE = "POST /api/garmin/login/mfa-complete"
SESSION = "GET /api/session"
LOG_OUT = "DELETE /api/session"
LOG_OUT_EVERYWHERE = "DELETE /api/sessions"

CHALLENGE = "challenge-id-that-is-secret"
ACCESS_TOKEN = "access-token-that-is-secret"


def job(job_id: str) -> str:
    return f"GET /api/jobs/{job_id}"


def cancel(job_id: str) -> str:
    return f"DELETE /api/jobs/{job_id}"


@dataclass(frozen=True)
class Answer:
    status: int = 200
    data: object = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    held_by: threading.Event | None = None
    """Answers only once this is set: so a test decides when, not a clock."""

    @property
    def body(self) -> bytes:
        return self.raw if self.raw is not None else json.dumps(self.data).encode()


class Breaks(Answer):
    """Reads the request and closes the connection."""


@dataclass(frozen=True)
class Request:
    line: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    data: dict[str, object] | None


class StandIn:
    """Gives each request line its scripted answers in turn, the last one for ever."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.unexpected: list[str] = []
        self._script: dict[str, deque[Answer]] = defaultdict(deque)
        self._news = threading.Condition()
        self._server = _Server(self)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"

    def on(self, line: str, *answers: Answer) -> None:
        self._script[line].extend(answers)

    def use_last(self, line: str) -> None:
        """Skip to the last answer."""
        with self._news:
            while len(self._script[line]) > 1:
                self._script[line].popleft()

    def seen(self, line: str) -> list[Request]:
        return [request for request in self.requests if request.line == line]

    def wait_for(self, line: str, count: int = 1) -> None:
        with self._news:
            assert self._news.wait_for(lambda: len(self.seen(line)) >= count, timeout=60), line

    def take(self, request: Request) -> Answer:
        with self._news:
            self.requests.append(request)
            self._news.notify_all()
            waiting = self._script[request.line]
            if not waiting:
                self.unexpected.append(request.line)
                return problem(500, "internal_error")
            return waiting.popleft() if len(waiting) > 1 else waiting[0]

    @contextmanager
    def running(self) -> Iterator["StandIn"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, stand_in: StandIn) -> None:
        self.stand_in = stand_in
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that left is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        parts = urlsplit(self.path)
        request = Request(
            line=f"{self.command} {parts.path}",
            query=parse_qs(parts.query),
            headers={name.lower(): value for name, value in self.headers.items()},
            data=json.loads(content) if content else None,
        )
        answer = self.server.stand_in.take(request)
        if answer.held_by:
            answer.held_by.wait(120)
        self.close_connection = True
        if not isinstance(answer, Breaks):
            self._reply(answer)

    do_GET = do_POST = do_DELETE = _serve

    def _reply(self, answer: Answer) -> None:
        self.send_response(answer.status)
        kind = "application/json" if answer.status < 400 else "application/problem+json"
        for name, value in ({"Content-Type": kind} | answer.headers).items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if answer.status != 204:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None: ...


def accepted(job_id: str, *, expires_in: int = 900, retry_after: int = 0) -> Answer:
    data = {
        "job_id": job_id,
        "status": "queued",
        "poll_token": poll_token(job_id),
        "status_url": f"/api/jobs/{job_id}",
        "expires_in": expires_in,
    }
    location = {"Location": f"/api/jobs/{job_id}", "Retry-After": str(retry_after)}
    return Answer(202, data, location)


def poll_token(job_id: str) -> str:
    return f"poll-token-for-{job_id}"


def under_way(
    job_id: str, stage: str, *, retry_after: int = 0, held_by: threading.Event | None = None
) -> Answer:
    data = {
        "job_id": job_id,
        "kind": "login",
        "status": "running",
        "stage": stage,
        "success": False,
        "mfa_required": False,
    }
    return Answer(200, data, {"Retry-After": str(retry_after)}, held_by=held_by)


def code_asked(
    job_id: str,
    *,
    way: str | None = "email",
    destination: str | None = "r***@example.com",
    attempts_left: int = 3,
    expires_in: int = 600,
) -> Answer:
    return Answer(
        200,
        {
            "job_id": job_id,
            "kind": "login",
            "status": "mfa_required",
            "success": False,
            "mfa_required": True,
            "mfa_challenge_id": CHALLENGE,
            "mfa_type": way,
            "mfa_destination": destination,
            "expires_in": expires_in,
            "attempts_left": attempts_left,
        },
    )


def succeeded(job_id: str, *, display_name: str = "Runner") -> Answer:
    return Answer(
        200,
        {
            "job_id": job_id,
            "kind": "login",
            "status": "succeeded",
            "success": True,
            "mfa_required": False,
            "session_id": "session-1",
            "access_token": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": 3600,
            "user": {"id": "user-1", "display_name": display_name},
        },
    )


def failed(
    job_id: str,
    code: str,
    *,
    retry_after: int | None = None,
    attempts_left: int | None = None,
    message: str = "A sentence for a person.",
) -> Answer:
    data: dict[str, object] = {
        "job_id": job_id,
        "kind": "login",
        "status": "failed",
        "success": False,
        "mfa_required": False,
        "error": {"code": code, "message": message, "retry_after": retry_after},
    }
    if attempts_left is not None:
        data |= {"attempts_left": attempts_left, "mfa_challenge_id": CHALLENGE}
    return Answer(200, data)


def problem(
    status: int,
    code: str,
    *,
    retry_after: int | None = None,
    errors: list[dict[str, object]] | None = None,
    more: dict[str, object] | None = None,
) -> Answer:
    data: dict[str, object] = {
        **(more or {}),
        "type": f"https://example.com/problems/{code}",
        "title": code.replace("_", " "),
        "status": status,
        "detail": "A sentence for a person.",
        "code": code,
    }
    if errors:
        data["errors"] = errors
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Answer(status, data, headers)


def token(
    access_token: str,
    *,
    expires_in: int = 3600,
    api_base: str = "https://connectapi.garmin.com",
    access: str = "read_write",
    domain: str = "garmin.com",
    held_by: threading.Event | None = None,
) -> Answer:
    data = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_at": "2026-01-02T10:00:00Z",
        "expires_in": expires_in,
        "api_base": api_base,
        "access": access,
        "domain": domain,
        "method": "password" if access == "read_write" else "personal_api_key",
        "user": {"id": "user-1", "display_name": "Runner", "garmin_display_name": "runner7"},
    }
    return Answer(200, data, held_by=held_by)


def refreshing(*, retry_after: int) -> Answer:
    return Answer(202, {"status": "refreshing"}, {"Retry-After": str(retry_after)})


def session() -> Answer:
    return Answer(
        200,
        {
            "session_id": "session-1",
            "user": {"id": "user-1", "display_name": "Runner"},
            "created_at": "2026-01-01T10:00:00Z",
            "expires_at": "2026-01-31T10:00:00Z",
            "garmin": {
                "linked": True,
                "domain": "garmin.com",
                "driver": "garth",
                "access_token_expires_at": "2026-01-02T10:00:00Z",
                "refreshable_until": "2027-01-01T10:00:00Z",
            },
        },
    )


def done() -> Answer:
    return Answer(204)
