"""Which Garmin libraries Garmin refuses for now. Kept in Redis, so that nobody asks again too soon.

`fittrack:rest:<driver>` (there while it rests) and `fittrack:rest:<driver>:level` (how often in a
row it was refused), both with a time to live.
"""

import math
from collections.abc import Iterable

from redis import Redis

from shared.redis.connection import LuaScript, redis_errors_translated

_FIRST_REST_MS = 3_600_000
_LONGEST_REST_MS = 86_400_000


class DriverCooldowns:
    """Every method raises ServiceUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._refused = LuaScript(redis, __package__, "driver_refused")

    @redis_errors_translated
    def start(self, driver: str, retry_after: int | None) -> None:
        """Garmin refused the driver: it rests for `retry_after` seconds, at most a day.

        Without it: an hour, then twice as long each time, up to a day.
        """
        self._refused(
            _rest(driver),
            _level(driver),
            wait=(retry_after or 0) * 1000,
            first=_FIRST_REST_MS,
            longest=_LONGEST_REST_MS,
        )

    @redis_errors_translated
    def reset(self, driver: str) -> None:
        """Garmin answered the driver: the next rest begins small again."""
        self._redis.delete(_level(driver))

    @redis_errors_translated
    def remaining(self, driver: str) -> int:
        """Seconds until the driver may be tried again; 0: now."""
        left = int(self._redis.pttl(_rest(driver)))
        return math.ceil(left / 1000) if left > 0 else 0

    def shortest_remaining(self, drivers: Iterable[str]) -> int:
        """Seconds until one of them may be tried again; 0: one may be tried now."""
        waits = []
        for driver in drivers:
            waits.append(self.remaining(driver))
            if not waits[-1]:
                break
        return min(waits)


def _rest(driver: str) -> str:
    return f"fittrack:rest:{driver}"


def _level(driver: str) -> str:
    return f"fittrack:rest:{driver}:level"
