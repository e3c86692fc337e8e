"""Whether the database has refused to write for want of disk, whichever process noticed."""

import logging
from contextlib import suppress

from shared.errors import ServiceUnavailableError
from shared.redis.connection import Redis, redis_errors_translated

_log = logging.getLogger(__name__)

_SECONDS = 120


class DatabaseDisk:
    """`fittrack:database-disk` is there for two minutes after each refusal."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._key = redis.keyspace.key("database-disk")

    def report_full(self) -> None:
        """Tell all processes, if Redis answers, and the log."""
        _log.error("the database can't write: its disk is full")
        with suppress(ServiceUnavailableError):
            self._note()

    @redis_errors_translated
    def is_full(self) -> bool:
        """Raises ServiceUnavailableError."""
        return bool(self._redis.exists(self._key))

    @redis_errors_translated
    def _note(self) -> None:
        self._redis.set(self._key, 1, ex=_SECONDS)
