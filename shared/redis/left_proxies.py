"""Proxies that drivers have left because Garmin refuses their address, for all processes.

`fittrack:proxy-left:<driver>:<proxy>` exists while the driver takes another one. It belongs to the
driver, because Garmin may refuse one library's TLS at every address. In Redis rather than in each
process: otherwise every worker finds out at Garmin's expense, and again after each start.
"""

from collections.abc import Sequence

from redis import Redis

from shared.redis.connection import redis_errors_translated


class LeftProxies:
    """Proxies go by names that hold no secret.

    Every method raises ServiceUnavailableError when Redis does not answer.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @redis_errors_translated
    def leave(self, driver: str, proxy: str, seconds: int) -> None:
        self._redis.set(_key(driver, proxy), 1, ex=seconds)

    @redis_errors_translated
    def remaining(self, driver: str, proxies: Sequence[str]) -> list[int]:
        """Return for each proxy the milliseconds until it is taken again, or 0."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for proxy in proxies:
                pipeline.pttl(_key(driver, proxy))
            return [max(0, int(left)) for left in pipeline.execute()]


def _key(driver: str, proxy: str) -> str:
    return f"fittrack:proxy-left:{driver}:{proxy}"
