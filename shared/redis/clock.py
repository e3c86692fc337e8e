"""The time by Redis' clock, which is one for all processes."""

from redis import Redis


def redis_ms(redis: Redis) -> int:
    """Return Unix time in milliseconds. Raises RedisError."""
    seconds, microseconds = redis.time()
    return seconds * 1000 + microseconds // 1000
