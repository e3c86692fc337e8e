"""Cooldowns of drivers that Garmin refuses, shared by all processes through Redis.

`fittrack:rest:<driver>` exists while the driver is not used; `fittrack:rest:<driver>:level` counts
refusals in a row. Both have a time to live.
"""

import math
from collections.abc import Iterable

from shared.redis.connection import LuaScript, Redis, redis_errors_translated

_FIRST_COOLDOWN_MS = 3_600_000
_LONGEST_COOLDOWN_MS = 86_400_000


class DriverCooldowns:
    """Every method raises ServiceUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._refused = LuaScript(redis, __package__, "driver_refused")

    @redis_errors_translated
    def start(self, driver: str, retry_after: int | None) -> None:
        """Stop using a driver that Garmin refused for `retry_after` seconds, at most a day.

        Without `retry_after`: an hour, then twice as long each time, up to a day.
        """
        self._refused(
            self._key(driver),
            self._level_key(driver),
            wait=(retry_after or 0) * 1000,
            first=_FIRST_COOLDOWN_MS,
            longest=_LONGEST_COOLDOWN_MS,
        )

    @redis_errors_translated
    def reset(self, driver: str) -> None:
        """Make the next cooldown a short one again: Garmin has answered the driver."""
        self._redis.delete(self._level_key(driver))

    @redis_errors_translated
    def remaining(self, driver: str) -> int:
        """Return the seconds until the driver may be used again, or 0."""
        left = int(self._redis.pttl(self._key(driver)))
        return math.ceil(left / 1000) if left > 0 else 0

    def shortest_remaining(self, drivers: Iterable[str]) -> int:
        """Return the seconds until one of the drivers may be used again, or 0."""
        waits: list[int] = []
        for driver in drivers:
            waits.append(self.remaining(driver))
            if not waits[-1]:  # usable now: no need to ask for the others
                break
        return min(waits)

    def _key(self, driver: str) -> str:
        return self._redis.keyspace.key("rest", driver)

    def _level_key(self, driver: str) -> str:
        return self._redis.keyspace.key("rest", driver, "level")
