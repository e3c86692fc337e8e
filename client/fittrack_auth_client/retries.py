"""Sending a request again: when, how often, and until when."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias

from fittrack_auth_client.errors import (
    AnswerLostError,
    ApiError,
    ChallengeBusyError,
    FitTrackAuthError,
    ServiceUnreachableError,
)
from fittrack_auth_client.exchange import Operation, Reply, Request, require_success

SHORTEST_PAUSE = 0.2
LONGEST_BACKOFF = 5.0
_TRANSIENT_STATUSES = frozenset({429, 502, 503, 504})

OnRetry: TypeAlias = Callable[[FitTrackAuthError, float], None]


@dataclass(frozen=True)
class Deadline:
    """A moment on this process's monotonic clock."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        return cls(time.monotonic() + max(0.0, seconds))

    @property
    def left(self) -> float:
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.left == 0


def send(
    request: Request, deadline: Deadline, max_retries: float, on_retry: OnRetry
) -> Operation[Reply]:
    """Send a request, and again after a transient failure.

    Every request of this package is safe to repeat: reads and deletions by nature, submissions by
    their Idempotency-Key. A pause is as long as `Retry-After` says. Raises the last error once the
    retries are used up, or if the pause would pass the deadline.
    """
    retries = 0
    while True:
        try:
            reply = yield request
            return require_success(request, reply)
        except FitTrackAuthError as error:
            pause = pause_after(error, retries)
            if not is_transient(error) or retries >= max_retries or pause >= deadline.left:
                raise
            on_retry(error, pause)
            wait = min(request.wait, int(deadline.left - pause))
            request = replace(request, delay=pause, wait=wait)
            retries += 1


def is_transient(error: FitTrackAuthError) -> bool:
    if isinstance(error, ServiceUnreachableError | AnswerLostError | ChallengeBusyError):
        return True
    return isinstance(error, ApiError) and error.status in _TRANSIENT_STATUSES


def pause_after(error: FitTrackAuthError, retries: int) -> float:
    if error.retry_after is not None:
        return max(SHORTEST_PAUSE, float(error.retry_after))
    return min(LONGEST_BACKOFF, 0.5 * 2.0 ** min(retries, 9))


def parse_retry_after(header: str | None) -> int | None:
    """Seconds from a `Retry-After` header, which holds whole seconds or a date; else None."""
    if header is None:
        return None
    value = header.strip()
    if value.isascii() and value.isdigit():
        return int(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0, round((aware - datetime.now(UTC)).total_seconds()))
