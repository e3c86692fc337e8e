"""What operators watch of webhooks, written by workers and read by the API.

`fittrack:webhooks-tried` (hash: `<result>` → how many), `fittrack:webhooks-oldest` (Unix time in
seconds of the oldest event that waits, or 0).
"""

from datetime import datetime
from typing import cast

from shared.redis.clock import redis_ms
from shared.redis.connection import Redis, redis_errors_translated

_TTL = 90 * 86_400
REPORT_TTL = 180
"""Without a report for so long, nobody knows."""


class WebhookFigures:
    """Every method raises ServiceUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._tried = redis.keyspace.key("webhooks-tried")
        self._oldest = redis.keyspace.key("webhooks-oldest")

    @redis_errors_translated
    def count(self, result: str) -> None:
        with self._redis.pipeline() as pipeline:
            pipeline.hincrby(self._tried, result, 1)
            pipeline.expire(self._tried, _TTL)
            pipeline.execute()

    @redis_errors_translated
    def counts(self) -> dict[str, int]:
        counts = cast("dict[bytes, bytes]", self._redis.hgetall(self._tried))
        return {result.decode(): int(count) for result, count in counts.items()}

    @redis_errors_translated
    def report_oldest(self, at: datetime | None) -> None:
        """Report when the oldest event was that waits; None: none waits."""
        self._redis.set(self._oldest, at.timestamp() if at else 0, ex=REPORT_TTL)

    @redis_errors_translated
    def oldest_seconds(self) -> float | None:
        """Return how long the oldest event has waited; None if nobody knows."""
        reported = cast("bytes | None", self._redis.get(self._oldest))
        if reported is None:
            return None
        at = float(reported)
        return max(redis_ms(self._redis) / 1000 - at, 0.0) if at else 0.0
