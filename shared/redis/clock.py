"""The time by Redis' clock, which is one for all processes, and how far theirs are from it.

`fittrack:clocks` (sorted set: `<process> <server> <seconds ahead>`, by when it was measured).
"""

from collections.abc import Mapping
from typing import cast

from shared.redis.connection import Redis, redis_errors_translated

REPORT_TTL = 180


def redis_ms(redis: Redis) -> int:
    """Return Unix time in milliseconds. Raises RedisError."""
    seconds, microseconds = redis.time()
    return seconds * 1000 + microseconds // 1000


class ClockReports:
    """What processes have measured. Every method raises ServiceUnavailableError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._key = redis.keyspace.key("clocks")

    @redis_errors_translated
    def now(self) -> float:
        """Return Unix time in seconds."""
        return redis_ms(self._redis) / 1000

    @redis_errors_translated
    def write(self, process: str, offsets: Mapping[str, float]) -> None:
        """Report by how many seconds a process is ahead of each server."""
        now = redis_ms(self._redis)
        reports = {f"{process} {server} {ahead:.1f}": now for server, ahead in offsets.items()}
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.zremrangebyscore(self._key, "-inf", now - REPORT_TTL * 1000)
            pipe.zadd(self._key, reports)
            pipe.expire(self._key, REPORT_TTL)
            pipe.execute()

    @redis_errors_translated
    def newest(self) -> dict[tuple[str, str], float]:
        """Return the reports of the last minutes, by process and server."""
        oldest = redis_ms(self._redis) - REPORT_TTL * 1000
        reports = cast("list[bytes]", self._redis.zrangebyscore(self._key, oldest, "+inf"))
        parts = (report.decode().split(" ") for report in reports)
        return {(process, server): float(ahead) for process, server, ahead in parts}
