"""What operators watch: how jobs ended, how long the queues are, which drivers rest.

`fittrack:jobs-ended` (hash: `<kind>:<result>` → how many) is written where a job ends, by whichever
worker ended it, and read by every API process: the figures are the service's, not a process's.
"""

from collections.abc import Iterable
from typing import cast

from redis import Redis

from shared.redis.connection import redis_errors_translated

KEY = "fittrack:jobs-ended"
SECONDS = 90 * 86_400


class JobCounters:
    """Raises ServiceUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @redis_errors_translated
    def ended(self) -> dict[tuple[str, str], int]:
        """How many jobs of each kind ended how: `("login", "invalid_credentials")` → 3."""
        found = cast("dict[bytes, bytes]", self._redis.hgetall(KEY))
        pairs = ((name.decode().partition(":"), count) for name, count in found.items())
        return {(kind, result): int(count) for (kind, _, result), count in pairs}


class QueueLengths:
    """Messages that wait in Celery's queues, which are Redis lists."""

    def __init__(self, broker: Redis) -> None:
        self._broker = broker

    @redis_errors_translated
    def read(self, queues: Iterable[str]) -> dict[str, int]:
        return {queue: self._broker.llen(queue) for queue in queues}
