"""Rate limits with moving windows, shared by all processes through Redis.

A window allows N events in *any* period of its length. The notation is that of the `limits`
library, which needs two calls to Redis for each window; one script does all of it here. The clock
is Redis', whatever that of the process says. Keys contain a hash of who is counted, and expire with
the window. An event that has a name counts once, however often Redis is asked to count it.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from limits import RateLimitItem, parse_many

from shared.crypto.tokens import new_token
from shared.errors import FitTrackError
from shared.redis.connection import (
    LuaScript,
    Redis,
    redis_errors_translated,
    script_arguments,
)

LOGIN_PER_IP = "login-ip"
LOGIN_PER_CLIENT = "login-client"
LOGIN_PER_ACCOUNT = "login-account"
CODE_PER_IP = "code-ip"
CODE_PER_CLIENT = "code-client"
CODE_PER_CHALLENGE = "code-challenge"
CODES_PER_ACCOUNT = "codes-account"
CODES_REFUSED_BY_GARMIN = "codes-refused"
WRONG_KEY_PER_IP = "wrong-key-ip"
TOKENS_PER_CLIENT = "tokens-client"
REFRESHES = "refreshes"
REFRESHES_PER_CONNECTION = "refreshes-connection"


@dataclass(frozen=True)
class Window:
    """The state of one window, with times in seconds.

    `reset` is the time until the oldest event leaves the window.
    """

    quota: int
    seconds: int
    remaining: int
    reset: int


@dataclass(frozen=True)
class Standing:
    """The state of all windows of a limit, for one caller."""

    limit: str
    windows: tuple[Window, ...]

    @property
    def retry_after(self) -> int:
        """Return the seconds until every window has room, or 0."""
        return max((w.reset for w in self.windows if w.remaining <= 0), default=0)


class RateLimitedError(FitTrackError):
    """A limit is reached. `retry_after` is in seconds."""

    code = "rate_limited"
    message = "Too many submissions: try again later."

    def __init__(self, standing: Standing) -> None:
        super().__init__(standing.limit)
        self.standing = standing
        self.retry_after = max(1, standing.retry_after)


class RateLimit:
    """One limit with one or more windows, such as `20/minute;100/hour`; `times` multiplies quotas.

    Every method raises ServiceUnavailableError when Redis does not answer: then nothing is
    allowed.
    """

    def __init__(self, redis: Redis, name: str, notation: str, times: int = 1) -> None:
        self._redis = redis
        self._name = name
        self._windows: list[RateLimitItem] = [
            type(window)(window.amount * times, window.multiples) for window in parse_many(notation)
        ]
        self._script = LuaScript(redis, __package__, "rate_limit")

    def hit(self, who: str, event: str | None = None) -> Standing:
        """Count one event. Raises RateLimitedError, and counts nothing, if a window is full."""
        return self._run("hit", who, event or new_token())

    def check(self, who: str) -> None:
        """Raise RateLimitedError if a window is full. Counts nothing."""
        self._run("check", who)

    def count(self, who: str, event: str | None = None) -> None:
        """Count one event in each window that is not full."""
        with suppress(RateLimitedError):
            self._run("count", who, event or new_token())

    @redis_errors_translated
    def forget(self, who: str, event: str) -> None:
        """Take back the count of one event."""
        for key in self.keys(who):
            self._redis.zrem(key, event)

    @redis_errors_translated
    def clear(self, who: str) -> None:
        """Delete the counts."""
        self._redis.delete(*self.keys(who))

    @redis_errors_translated
    def _run(self, mode: str, who: str, event: str | None = None) -> Standing:
        arguments = self._arguments(mode, event)
        return self.judge(self._script.run(self.keys(who), arguments))

    def hit_arguments(self) -> str:
        """What `rate_limit.lua` takes for `hit`, for a script that includes it."""
        return self._arguments("hit", new_token())

    def judge(self, answer: Sequence[Any]) -> Standing:
        """Read what `rate_limit.lua` returned. Raises RateLimitedError if a window was full."""
        allowed, *state = answer
        windows = [
            Window(w.amount, w.get_expiry(), remaining, max(0, math.ceil(float(reset))))
            for w, remaining, reset in zip(self._windows, state[::2], state[1::2], strict=True)
        ]
        standing = Standing(self._name, tuple(windows))
        if not allowed:
            raise RateLimitedError(standing)
        return standing

    def _arguments(self, mode: str, event: str | None) -> str:
        sizes = [{"quota": w.amount, "seconds": w.get_expiry()} for w in self._windows]
        return script_arguments(mode=mode, event=event, windows=sizes)

    def keys(self, who: str) -> list[str]:
        sizes = [f"{window.amount}-{window.get_expiry()}s" for window in self._windows]
        return [self._redis.keyspace.key("limit", self._name, who, size) for size in sizes]
