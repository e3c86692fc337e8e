"""How often a job's password has been posted, over all workers that have run the job."""

from shared.redis.connection import LuaScript, Redis, redis_errors_translated
from shared.redis.driver_keys import posts_key

POSTS_PER_DRIVER = 2
POSTS_PER_JOB = 3
_TTL = 86_400_000


class PasswordPosts:
    """Raises ServiceUnavailableError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._keyspace = redis.keyspace
        self._count = LuaScript(redis, __package__, "password_post")

    @redis_errors_translated
    def count(self, job_id: str, driver: str) -> bool:
        """Count a post that is about to be sent; False if it would be one too many."""
        allowed = self._count(
            posts_key(self._keyspace, job_id),
            driver=driver,
            driver_limit=POSTS_PER_DRIVER,
            limit=POSTS_PER_JOB,
            ttl=_TTL,
        )
        return bool(allowed)
