"""The database as endpoints use it: on threads of its own, and refused at once where all are busy.

A database that hangs keeps its own threads, never those that sign-ins and polls need.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from sqlalchemy.orm import Session

from shared.database.engine import Database
from shared.errors import ServiceUnavailableError
from shared.timings import Timings


class Turns:
    """As many at once as the database has connections for them; the others wait for `seconds`."""

    def __init__(self, number: int, seconds: float) -> None:
        self._seconds = seconds
        self._free = asyncio.Semaphore(number)

    @asynccontextmanager
    async def take(self, patience: float | None = None) -> AsyncIterator[None]:
        """Hold a turn in the block.

        Raises ServiceUnavailableError if none is free in time, or within `patience` seconds if
        that is longer.
        """
        if self._free.locked():
            await self._wait(max(self._seconds, patience or 0.0))
        else:
            await self._free.acquire()
        try:
            yield
        finally:
            self._free.release()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._free.acquire()
        except TimeoutError:
            raise ServiceUnavailableError("database", retry_after=1) from None


class AsyncDatabase:
    """`threads` transactions at once: no more than the engine has connections."""

    def __init__(self, database: Database, timings: Timings, threads: int) -> None:
        self._database = database
        self._turns = Turns(threads, timings.database_queue)
        self._limiter = CapacityLimiter(threads)

    async def run[T](self, work: Callable[[Session], T], patience: float | None = None) -> T:
        """Run `work` in one transaction, as `Database.run` does.

        Also raises ServiceUnavailableError if no thread is free within a moment, or within
        `patience` seconds.
        """
        return await self._call(lambda: self._database.run(work), patience)

    async def ping(self) -> None:
        """Raise ServiceUnavailableError if the database does not answer, or is too busy to."""
        await self._call(self._database.ping)

    def close(self) -> None:
        self._database.close()

    async def _call[T](self, work: Callable[[], T], patience: float | None = None) -> T:
        async with self._turns.take(patience):
            # There is room for a turn, so the limiter has some: a request that is cancelled still
            # holds its thread until the database lets go of it.
            return await run_sync(work, limiter=self._limiter)
