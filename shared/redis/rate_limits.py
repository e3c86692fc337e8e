"""How often something may be done, counted in Redis for all processes together.

The `limits` library's moving windows: at most N in *any* stretch of time of that length. The clock
is that of the process that counts. Keys hold a hash of whom is counted, and expire with the window.
"""

import math
import time
from dataclasses import dataclass

from limits import RateLimitItem, parse_many
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis import Redis

from shared.errors import FitTrackError
from shared.redis.connection import redis_errors_translated

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
        storage = RedisStorage(
            "redis://", connection_pool=redis.connection_pool, key_prefix=_PREFIX
        )
        self._limiter = MovingWindowRateLimiter(storage)
        self._name = name
        self._windows: list[RateLimitItem] = parse_many(notation)

    @redis_errors_translated
    def hit(self, who: str) -> Standing:
        """Counts one. Raises RateLimitedError, and counts nothing more, if a window is full."""
        for window in self._windows:
            if not self._limiter.hit(window, self._name, who):
                raise RateLimitedError(self._standing(who))
        return self._standing(who)

    @redis_errors_translated
    def check(self, who: str) -> None:
        """Raises RateLimitedError if a window is full. Counts nothing."""
        if not all(self._limiter.test(window, self._name, who) for window in self._windows):
            raise RateLimitedError(self._standing(who))

    @redis_errors_translated
    def count(self, who: str) -> None:
        """Counts one, also where a window is full."""
        for window in self._windows:
            self._limiter.hit(window, self._name, who)

    @redis_errors_translated
    def clear(self, who: str) -> None:
        """Forgets what was counted."""
        for window in self._windows:
            self._limiter.clear(window, self._name, who)

    def _standing(self, who: str) -> Standing:
        now = time.time()
        windows = []
        for item in self._windows:
            stats = self._limiter.get_window_stats(item, self._name, who)
            reset = max(0, math.ceil(stats.reset_time - now))
            windows.append(Window(item.amount, item.get_expiry(), stats.remaining, reset))
        return Standing(self._name, tuple(windows))
