"""Requests and replies as values, so that one description of a call serves both clients.

An operation is a generator that yields requests, is sent replies, and returns its result. It may
also yield something to wait for. A transport (`transport.py`) runs it, with or without asyncio.
"""

import json
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias, TypeVar

import httpx

from fittrack_auth_client.errors import (
    AnswerLostError,
    ApiError,
    FieldError,
    FitTrackAuthError,
    RateLimitedError,
    ServiceUnavailableError,
    UnexpectedAnswerError,
    UsageError,
    error_class,
)
from fittrack_auth_client.fields import TOKEN, Fields, MalformedError, items, moment, text
from fittrack_auth_client.secret import Secret

T = TypeVar("T")

# What a proxy in front of the service means when it answers in the service's stead.
_WITHOUT_BODY = {
    429: RateLimitedError,
    502: ServiceUnavailableError,
    503: ServiceUnavailableError,
    504: ServiceUnavailableError,
}
_LOST_BEHIND_A_GATEWAY = frozenset({502, 504})


@dataclass(frozen=True)
class Request:
    """`wait` is how many seconds the service may hold its answer back; `delay`, how many to
    wait before sending.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str | int | Secret | tuple[str, ...]] | None = None
    wait: int = 0
    delay: float = 0.0

    def content(self) -> bytes | None:
        if self.body is None:
            return None
        plain = {k: v.reveal() if isinstance(v, Secret) else v for k, v in self.body.items()}
        return json.dumps(plain).encode()

    @property
    def is_submission(self) -> bool:
        """Whether it must not be done twice."""
        return "Idempotency-Key" in self.headers


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes = field(repr=False)
    retry_after: int | None = None
    request_id: str | None = None
    location: str | None = None

    def data(self) -> object:
        """The JSON body. Raises UnexpectedAnswerError."""
        try:
            data: object = json.loads(self.body)
        except (ValueError, RecursionError):
            raise UnexpectedAnswerError(f"HTTP {self.status}, not JSON") from None
        return data

    def read(self, read: Callable[[object], T]) -> T:
        """The body as `read` reads it. Raises UnexpectedAnswerError."""
        try:
            return read(self.data())
        except MalformedError:
            message = f"HTTP {self.status}, not in the agreed form"
            raise UnexpectedAnswerError(message) from None


@dataclass(frozen=True)
class Waiting:
    """Waits until `ended` is done, for at most so many seconds. Its reply has no meaning."""

    ended: Future[FitTrackAuthError | None]
    seconds: float

    reply: ClassVar[Reply] = Reply(204, b"")


Operation: TypeAlias = Generator[Request | Waiting, Reply, T]


def header_token(secret: Secret) -> str:
    """A token as a header may hold it. Raises UsageError(`bad_input`)."""
    token = secret.reveal()
    if not TOKEN.fullmatch(token):
        message = "a token or key has other characters than this one"
        raise UsageError(message, code="bad_input")
    return token


def require_success(request: Request, reply: Reply) -> Reply:
    """The reply, if its status is 2xx. Raises the error that it stands for."""
    if 200 <= reply.status < 300:
        return reply
    if 300 <= reply.status < 400:
        raise UnexpectedAnswerError(f"it redirects to {_origin(reply.location)}")
    try:
        fields = Fields(reply.data())
        code = fields.get("code", text)
        errors = fields.optional("errors", items(FieldError.read)) or ()
        message = "; ".join(filter(None, map(str, errors)))
        message = message or fields.optional("detail", text) or fields.optional("title", text) or ""
        unavailable = fields.optional("unavailable", items(text)) or ()
        reason, since = fields.optional("reason", text), fields.optional("since", moment)
    except (MalformedError, UnexpectedAnswerError):
        raise _error_without_body(request, reply) from None
    raise error_class(ApiError, code)(
        message,
        status=reply.status,
        code=code,
        retry_after=reply.retry_after,
        request_id=reply.request_id,
        errors=errors,
        unavailable=unavailable,
        reason=reason,
        since=since,
    )


def _error_without_body(
    request: Request, reply: Reply
) -> ApiError | AnswerLostError | UnexpectedAnswerError:
    message = f"HTTP {reply.status}"
    if request.is_submission and reply.status in _LOST_BEHIND_A_GATEWAY:
        return AnswerLostError(message)
    kind = _WITHOUT_BODY.get(reply.status)
    if kind is None:
        return UnexpectedAnswerError(message)
    return kind(message, status=reply.status, retry_after=reply.retry_after)


def _origin(location: str | None) -> str:
    try:
        url = httpx.URL(location or "")
    except httpx.InvalidURL:
        return "an unreadable address"
    return f"{url.scheme}://{url.netloc.decode('ascii')}" if url.host else "another path there"
