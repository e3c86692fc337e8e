"""Messages that no worker can take: kept for the operator, and counted.

- `fittrack:set-aside` (list of JSON, newest first: when, which queue, what was wrong, the message)
- `fittrack:set-aside:counts` (hash: fault → how many)
"""

import json
from datetime import UTC, datetime
from typing import cast

from shared.jobs.messages import MessageFault
from shared.redis.connection import Redis, redis_errors_translated

MOST = 100
"""How many are kept: the newest."""

MOST_BYTES = 16_384
"""What is kept of each."""

_TTL = 7 * 86_400
_COUNTS_TTL = 90 * 86_400


class SetAside:
    """Every method raises ServiceUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._messages = redis.keyspace.key("set-aside")
        self._counts = redis.keyspace.key("set-aside", "counts")

    @redis_errors_translated
    def add(self, queue: str, fault: MessageFault, message: bytes) -> None:
        """Keep and count one. What it holds belongs in no log: anything may have been sent."""
        entry = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "queue": queue,
            "fault": fault,
            "bytes": len(message),
            "message": message[:MOST_BYTES].decode(errors="backslashreplace"),
        }
        with self._redis.pipeline() as pipe:
            pipe.lpush(self._messages, json.dumps(entry))
            pipe.ltrim(self._messages, 0, MOST - 1)
            pipe.expire(self._messages, _TTL)
            pipe.hincrby(self._counts, fault, 1)
            pipe.expire(self._counts, _COUNTS_TTL)
            pipe.execute()

    @redis_errors_translated
    def counts(self) -> dict[str, int]:
        """How many were set aside, by what was wrong with them."""
        counts = cast("dict[bytes, bytes]", self._redis.hgetall(self._counts))
        return {fault.decode(): int(count) for fault, count in counts.items()}
