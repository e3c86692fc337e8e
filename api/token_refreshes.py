"""Waiting for refreshes: one wait in a process for one generation of tokens, whoever asks."""

import asyncio
import uuid
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool

from api.notifications import JobNotifications
from api.polls import JobPolls
from shared.accounts.tokens import StoredTokens
from shared.broker.errors import RefreshFailedError
from shared.broker.refreshes import Refreshes
from shared.errors import ServiceUnavailableError
from shared.redis.rate_limits import RateLimit, RateLimitedError
from shared.timings import PRODUCTION, Timings

_READS = 3
_REMEMBERED = 1.0
"""For how long a refresh that has ended is not submitted again, for callers who read before it."""

_LONGEST = 35.0
"""Seconds after which a wait ends in any case: longer than the longest request's."""


@dataclass(eq=False)
class _Wait:
    submitted: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[bool] | None" = None


class TokenRefreshes:
    def __init__(
        self,
        refreshes: Refreshes,
        limit: RateLimit,
        polls: JobPolls,
        notifications: JobNotifications,
        timings: Timings = PRODUCTION,
    ) -> None:
        self._refreshes = refreshes
        self._limit = limit
        self._polls = polls
        self._notifications = notifications
        self._reading = timings.notification_silence
        self._waits: dict[tuple[uuid.UUID, int], _Wait] = {}

    async def ended(self, stored: StoredTokens, seconds: float) -> bool:
        """Have tokens refreshed; return whether that has ended, however, in so many seconds.

        The job is submitted in any case. Raises RefreshFailedError, ServiceUnavailableError.
        """
        wait = self._begin(stored)
        assert wait.task is not None  # noqa: S101 - for the type checker
        submitted = asyncio.create_task(wait.submitted.wait())
        try:
            await asyncio.wait({submitted, wait.task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            submitted.cancel()
        done, _ = await asyncio.wait({wait.task}, timeout=seconds)
        return bool(done) and wait.task.result()

    async def retry_after(self, stored: StoredTokens) -> int:
        """Return the seconds until these tokens may be refreshed, or 0."""
        return await run_in_threadpool(self._refreshes.retry_after, stored.id, stored.driver)

    def _begin(self, stored: StoredTokens) -> _Wait:
        key = (stored.id, stored.generation)
        wait = self._waits.get(key)
        if wait is None:
            wait = self._waits[key] = _Wait()
            wait.task = asyncio.create_task(self._run(stored, wait))
            wait.task.add_done_callback(lambda task: self._forget(key, task))
        return wait

    def _forget(self, key: tuple[uuid.UUID, int], task: "asyncio.Task[bool]") -> None:
        failed = task.cancelled() or task.exception() is not None  # whoever waited has it
        asyncio.get_running_loop().call_later(0 if failed else _REMEMBERED, self._waits.pop, key)

    async def _run(self, stored: StoredTokens, wait: _Wait) -> bool:
        job_id = await run_in_threadpool(self._submit, stored)
        wait.submitted.set()
        try:
            async with asyncio.timeout(_LONGEST):
                await self._ended(job_id)
        except TimeoutError:
            return False
        return True

    def _submit(self, stored: StoredTokens) -> str:
        """Submit a refresh, of which each generation counts once for the limit.

        Raises RefreshFailedError, also where the limit is reached, and ServiceUnavailableError.
        """
        try:
            self._limit.hit(str(stored.id), str(stored.generation))
        except RateLimitedError as reached:
            raise RefreshFailedError(reached.retry_after) from None
        return self._refreshes.submit(stored.id, stored.generation, stored.driver)

    async def _ended(self, job_id: str) -> None:
        """Wait as a long poll does, and read now and then: of a lost job nobody is notified."""
        with self._notifications.watch(job_id) as changed:
            while not await self._has_ended(job_id):
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._reading):
                        await changed.wait()
                changed.clear()

    async def _has_ended(self, job_id: str) -> bool:
        """Read the job, for all callers: one read that fails must not fail them all."""
        for reads_left in reversed(range(_READS)):
            try:
                return await self._polls.has_ended(job_id)
            except ServiceUnavailableError:
                if not reads_left and self._notifications.live:
                    raise
        return False  # it is read again in a moment
