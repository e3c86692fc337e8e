"""What operators watch: how jobs ended, and how many wait for a worker.

`fittrack:jobs-ended` (hash: `<kind>:<result>` → how many) is written where a job ends, by whichever
worker ended it, and read by every API process: the figures are the service's, not a process's.
"""

from collections.abc import Iterable
from typing import cast

from shared.jobs.keys import JobKeys
from shared.redis.clock import redis_ms
from shared.redis.connection import Redis, redis_errors_translated

TTL = 90 * 86_400


class JobCounters:
    """Every method raises ServiceUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._keys = JobKeys(redis.keyspace)

    @redis_errors_translated
    def ended(self) -> dict[tuple[str, str], int]:
        """How many jobs of each kind ended how: `("login", "invalid_credentials")` → 3."""
        counts = cast("dict[bytes, bytes]", self._redis.hgetall(self._keys.ended))
        pairs = ((name.decode().partition(":"), count) for name, count in counts.items())
        return {(kind, result): int(count) for (kind, _, result), count in pairs}

    @redis_errors_translated
    def queued(self, queues: Iterable[str]) -> dict[str, int]:
        """How many jobs no worker has taken yet, by queue. Messages are not counted."""
        now = redis_ms(self._redis)
        return {
            queue: self._redis.zcount(self._keys.queued(queue), now, "+inf") for queue in queues
        }
