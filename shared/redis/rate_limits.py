"""How often something may be done, counted in Redis for all processes together.

Moving windows: at most N in *any* stretch of time of that length, in the notation of the `limits`
library. That library asks Redis twice a window; here one script does all of it. The clock is that
of the process that counts. Keys hold a hash of who is counted, and expire with the window.
"""

import math
import time
from contextlib import suppress
from dataclasses import dataclass

from limits import RateLimitItem, parse_many
from redis import Redis

from shared.errors import FitTrackError
from shared.redis.connection import LuaScript, redis_errors_translated

LOGIN_PER_IP = "login-ip"
LOGIN_PER_ACCOUNT = "login-account"
CODE_PER_IP = "code-ip"
CODE_PER_CHALLENGE = "code-challenge"

_PREFIX = "fittrack:limit"


@dataclass(frozen=True)
class Window:
    """Where somebody stands in one window: times in seconds.

    `reset` is how long until the oldest of what was counted no longer counts.
    """

    quota: int
    seconds: int
    remaining: int
    reset: int


@dataclass(frozen=True)
class Standing:
    """Where somebody stands in all windows of a limit."""

    limit: str
    windows: tuple[Window, ...]

    @property
    def retry_after(self) -> int:
        """Seconds until every window has room again; 0: now."""
        return max((w.reset for w in self.windows if w.remaining <= 0), default=0)


class RateLimitedError(FitTrackError):
    """Too often. `retry_after` is in seconds."""

    code = "rate_limited"
    message = "Too often: try again later."

    def __init__(self, standing: Standing) -> None:
        super().__init__(standing.limit)
        self.standing = standing
        self.retry_after = max(1, standing.retry_after)


class RateLimit:
    """One limit with one or more windows, such as `20/minute;100/hour`.

    Every method raises ServiceUnavailableError when Redis does not answer: then nothing is
    allowed.
    """

    def __init__(self, redis: Redis, name: str, notation: str) -> None:
        self._redis = redis
        self._name = name
        self._windows: list[RateLimitItem] = parse_many(notation)
        self._script = LuaScript(redis, __package__, "rate_limit")

    def hit(self, who: str) -> Standing:
        """Count one. Raises RateLimitedError, and counts nothing, if a window is full."""
        return self._run("hit", who)

    def check(self, who: str) -> None:
        """Count nothing. Raises RateLimitedError if a window is full."""
        self._run("check", who)

    def count(self, who: str) -> None:
        """Count one in each window that is not full."""
        with suppress(RateLimitedError):
            self._run("count", who)

    @redis_errors_translated
    def clear(self, who: str) -> None:
        """Forget what was counted."""
        self._redis.delete(*self._keys(who))

    @redis_errors_translated
    def _run(self, mode: str, who: str) -> Standing:
        now = time.time()
        sizes = [{"quota": w.amount, "seconds": w.get_expiry()} for w in self._windows]
        allowed, *state = self._script(*self._keys(who), mode=mode, now=now, windows=sizes)
        windows = [
            Window(w.amount, w.get_expiry(), remaining, _reset(w, float(oldest), now))
            for w, remaining, oldest in zip(self._windows, state[::2], state[1::2], strict=True)
        ]
        standing = Standing(self._name, tuple(windows))
        if not allowed:
            raise RateLimitedError(standing)
        return standing

    def _keys(self, who: str) -> list[str]:
        return [f"{_PREFIX}:{window.key_for(self._name, who)}" for window in self._windows]


def _reset(window: RateLimitItem, oldest: float, now: float) -> int:
    return max(0, math.ceil(oldest + window.get_expiry() - now))
