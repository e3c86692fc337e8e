"""Rate limits with moving windows, shared by all processes through Redis.

A window allows N events in *any* period of its length. One script looks at all windows of a limit,
and counts in them. The clock is Redis', whatever that of the process says. Keys contain a hash of
who is counted, and expire with the window. An event that has a name counts once, however often
Redis is asked to count it.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from shared.crypto.tokens import new_token
from shared.errors import FitTrackError
from shared.rates import Rate, rates
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
    def full(self) -> bool:
        """Whether one of the windows has no room."""
        return any(window.remaining <= 0 for window in self.windows)

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
        self._windows = [Rate(rate.events * times, rate.seconds) for rate in rates(notation)]
        self._sizes = [{"quota": w.events, "seconds": w.seconds} for w in self._windows]
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
    def check_with(self, others: "Sequence[RateLimit]", who: str) -> None:
        """Check several limits in one call. Raises RateLimitedError for the first that is full."""
        limits = (self, *others)
        keys = [key for limit in limits for key in limit.keys(who)]
        sizes = [size for limit in limits for size in limit._sizes]
        _, *state = self._script(*keys, mode="check", windows=sizes)
        for limit in limits:
            own = 2 * len(limit._windows)
            standing, state = limit._standing(state[:own]), state[own:]
            if standing.full:
                raise RateLimitedError(standing)

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
        standing = self._standing(state)
        if not allowed:
            raise RateLimitedError(standing)
        return standing

    def _standing(self, state: Sequence[Any]) -> Standing:
        windows = [
            Window(w.events, w.seconds, remaining, max(0, math.ceil(float(reset))))
            for w, remaining, reset in zip(self._windows, state[::2], state[1::2], strict=True)
        ]
        return Standing(self._name, tuple(windows))

    def _arguments(self, mode: str, event: str | None) -> str:
        return script_arguments(mode=mode, event=event, windows=self._sizes)

    def keys(self, who: str) -> list[str]:
        sizes = [f"{window.events}-{window.seconds}s" for window in self._windows]
        return [self._redis.keyspace.key("limit", self._name, who, size) for size in sizes]
