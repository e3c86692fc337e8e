"""Long polls wait here: one Redis subscription a process, an event for each waiting request."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.jobs.keys import JobKeys
from shared.keyspace import KeySpace
from shared.timings import PRODUCTION, Timings


class JobNotifications:
    def __init__(self, redis_url: str, keyspace: KeySpace, timings: Timings = PRODUCTION) -> None:
        self._channel = JobKeys(keyspace).channel
        self._url = redis_url
        self._timings = timings
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def watch(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set when the job may have changed: read it again then."""
        event = asyncio.Event()
        self._waiting[job_id].add(event)
        try:
            yield event
        finally:
            self._waiting[job_id].discard(event)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    def watchers(self, job_id: str) -> int:
        """Return how many requests wait for this job."""
        return len(self._waiting.get(job_id, ()))

    async def run(self) -> None:
        """Listens until it is cancelled, through whatever happens to Redis."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError):
                await asyncio.sleep(self._timings.notification_reconnect)

    async def _listen(self) -> None:
        timeout = self._timings.notification_answer
        redis = Redis.from_url(self._url, socket_timeout=timeout, socket_connect_timeout=timeout)
        async with redis, redis.pubsub() as subscription:
            await subscription.subscribe(self._channel)
            self._wake_all()  # nothing that was published before this was received
            while True:
                message = await subscription.get_message(
                    ignore_subscribe_messages=True, timeout=self._timings.notification_silence
                )
                if message is None:
                    await subscription.ping()  # a dead connection shows itself here
                elif message["type"] == "message":
                    self._wake(message["data"].decode())

    def _wake(self, job_id: str) -> None:
        for event in self._waiting.get(job_id, ()):
            event.set()

    def _wake_all(self) -> None:
        for job_id in self._waiting:
            self._wake(job_id)
