"""Redis on the event loop, for what is asked so often that a hop to a thread would cost more."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from shared.errors import ServiceUnavailableError
from shared.imports import without_init
from shared.redis.connection import lua_source
from shared.timings import PRODUCTION, Timings

with without_init("redis.asyncio"):  # which imports what is for clusters too
    from redis.asyncio.client import PubSub, Redis
    from redis.asyncio.connection import AbstractConnection, ConnectionPool
    from redis.asyncio.retry import Retry

__all__ = [
    "AbstractConnection",
    "AsyncRedis",
    "AsyncScript",
    "ConnectionPool",
    "PubSub",
    "Redis",
    "RedisTurns",
    "Retry",
]

_CONNECTIONS = 32
"""Commands at once; the others wait, also where thousands are sent at the same moment."""


class RedisTurns:
    """Bounds how many commands run at once, and how long each may take."""

    def __init__(self, timings: Timings = PRODUCTION) -> None:
        self._timings = timings
        self._turns = asyncio.Semaphore(_CONNECTIONS)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until a connection is free, and limit its use in the block.

        Raises ServiceUnavailableError, in the place of the errors of the library as well.
        """
        try:
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
        except (RedisError, TimeoutError):
            raise ServiceUnavailableError("redis") from None


class AsyncRedis(RedisTurns):
    def __init__(self, url: str, timings: Timings = PRODUCTION) -> None:
        super().__init__(timings)
        # No timeouts of its own, of which each command would set up four: `turn` has one.
        self.client = Redis.from_url(
            url,
            socket_timeout=None,
            socket_connect_timeout=None,
            # Once: a pooled connection may be left over from before Redis was restarted.
            retry=Retry(NoBackoff(), 1, (RedisConnectionError,)),
            health_check_interval=30,
        )

    async def close(self) -> None:
        await self.client.aclose()


class AsyncScript:
    """The Lua script `lua/<name>.lua` of a package, as `LuaScript` is."""

    def __init__(self, redis: AsyncRedis, package: str, name: str) -> None:
        self._redis = redis
        self._script = redis.client.register_script(lua_source(package, name))

    async def __call__(self, keys: Sequence[str], arguments: Sequence[str]) -> Any:  # noqa: ANN401 - as Redis answers
        """Raise ServiceUnavailableError if Redis does not answer."""
        async with self._redis.turn():
            return await self._script(keys=keys, args=arguments)
