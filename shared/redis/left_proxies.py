"""Proxies that drivers have left because Garmin can't be reached by them, or refuses them.

`fittrack:proxy-left:<driver>:<proxy>` exists while the driver takes another one; it belongs to the
driver, because Garmin may refuse one library's TLS at every address. With `*` as the driver, all
take another one. In Redis rather than in each process: otherwise every worker finds out at
Garmin's expense, and again after each start.
"""

from collections.abc import Sequence

from shared.redis.connection import Redis, redis_errors_translated

_ALL = "*"


class LeftProxies:
    """Proxies go by names that hold no secret.

    Every method raises ServiceUnavailableError when Redis does not answer.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @redis_errors_translated
    def leave(self, driver: str | None, proxy: str, seconds: int) -> None:
        """Let the driver, or all of them, take another proxy for so long."""
        self._redis.set(self._key(driver or _ALL, proxy), 1, ex=seconds)

    @redis_errors_translated
    def remaining(self, driver: str, proxies: Sequence[str]) -> list[int]:
        """Return for each proxy the milliseconds until the driver takes it again, or 0."""
        return [
            max(0, *(int(self._redis.pttl(self._key(name, proxy))) for name in (driver, _ALL)))
            for proxy in proxies
        ]

    def _key(self, driver: str, proxy: str) -> str:
        return self._redis.keyspace.key("proxy-left", driver, proxy)
