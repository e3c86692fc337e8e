"""Reading a job for its poller, on the event loop: a hop to a thread costs more than the read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from shared.crypto.keyring import Keyring
from shared.errors import ServiceUnavailableError
from shared.jobs.keys import JobKeys
from shared.jobs.states import JobStatus
from shared.jobs.views import JobView, view_job
from shared.keyspace import KeySpace
from shared.timings import PRODUCTION, Timings

_CONNECTIONS = 32
"""Reads at once; the others wait, also where thousands of polls end at the same moment."""


class JobPolls:
    def __init__(
        self, redis_url: str, keyspace: KeySpace, keyring: Keyring, timings: Timings = PRODUCTION
    ) -> None:
        self._keys = JobKeys(keyspace)
        self._keyring = keyring
        self._timings = timings
        self._turns = asyncio.Semaphore(_CONNECTIONS)
        # No timeouts of its own, of which each command would set up four: `_turn` has one.
        self._redis = Redis.from_url(
            redis_url,
            socket_timeout=None,
            socket_connect_timeout=None,
            # Once: a pooled connection may be left over from before Redis was restarted.
            retry=Retry(NoBackoff(), 1, (RedisConnectionError,)),
            health_check_interval=30,
        )

    async def view(self, job_id: str, poll_token: str) -> JobView:
        """Return the job. Raises JobNotFoundError, ServiceUnavailableError."""
        try:
            async with self._turn():
                fields = cast(
                    "dict[bytes, bytes]", await self._redis.hgetall(self._keys.job(job_id))
                )
        except (RedisError, TimeoutError):
            raise ServiceUnavailableError("redis") from None
        return view_job(self._keyring, job_id, poll_token, fields)

    async def has_ended(self, job_id: str) -> bool:
        """Return whether a job of the service's own has ended. Raises ServiceUnavailableError."""
        try:
            async with self._turn():
                status = await cast(
                    "Awaitable[bytes | None]", self._redis.hget(self._keys.job(job_id), "status")
                )
        except (RedisError, TimeoutError):
            raise ServiceUnavailableError("redis") from None
        text = "" if status is None else status.decode(errors="replace")
        return text not in JobStatus or JobStatus(text).ended

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until a connection is free, and limit its use. Raises TimeoutError."""
        if self._turns.locked():
            async with asyncio.timeout(self._timings.poll_queue):
                await self._turns.acquire()
        else:
            await self._turns.acquire()
        try:
            async with asyncio.timeout(self._timings.redis_answer_api):
                yield
        finally:
            self._turns.release()

    async def close(self) -> None:
        await self._redis.aclose()
