"""How often Garmin gave an answer that nobody knows, counted by workers and read by the API.

`fittrack:answers-unknown` (hash: `<driver>:<step>` → how many).
"""

from typing import cast

from redis import Redis

from shared.redis.connection import redis_errors_translated

_KEY = "fittrack:answers-unknown"
_TTL = 90 * 86_400


class UnknownAnswers:
    """Every method raises ServiceUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @redis_errors_translated
    def count(self, driver: str, step: str) -> None:
        with self._redis.pipeline() as pipeline:
            pipeline.hincrby(_KEY, f"{driver}:{step}", 1)
            pipeline.expire(_KEY, _TTL)
            pipeline.execute()

    @redis_errors_translated
    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many there were: `("garth", "login")` → 3."""
        counts = cast("dict[bytes, bytes]", self._redis.hgetall(_KEY))
        pairs = ((name.decode().partition(":"), count) for name, count in counts.items())
        return {(driver, step): int(count) for (driver, _, step), count in pairs}
