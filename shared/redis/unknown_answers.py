"""How often Garmin gave an answer that nobody knows, counted by workers and read by the API.

`fittrack:answers-unknown` (hash: `<driver>:<step>` → how many).
"""

from typing import cast

from shared.redis.connection import Redis, redis_errors_translated

_TTL = 90 * 86_400


class UnknownAnswers:
    """Every method raises ServiceUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._key = redis.keyspace.key("answers-unknown")

    @redis_errors_translated
    def count(self, driver: str, step: str) -> None:
        with self._redis.pipeline() as pipeline:
            pipeline.hincrby(self._key, f"{driver}:{step}", 1)
            pipeline.expire(self._key, _TTL)
            pipeline.execute()

    @redis_errors_translated
    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many there were: `("garth", "login")` → 3."""
        counts = cast("dict[bytes, bytes]", self._redis.hgetall(self._key))
        pairs = ((name.decode().partition(":"), count) for name, count in counts.items())
        return {(driver, step): int(count) for (driver, _, step), count in pairs}
