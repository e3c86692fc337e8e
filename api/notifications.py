"""Long polls wait here: one Redis subscription a process, an event for each waiting request.

While the subscription is not known to work, every waiting request is woken again and again, to
read its job itself.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from api.async_redis import PubSub, Redis, Retry
from shared.jobs.keys import JobKeys
from shared.keyspace import KeySpace
from shared.timings import PRODUCTION, Timings


class JobNotifications:
    def __init__(self, redis_url: str, keyspace: KeySpace, timings: Timings = PRODUCTION) -> None:
        self._channel = JobKeys(keyspace).channel
        self._url = redis_url
        self._timings = timings
        self.live = False
        """Whether the subscription works, as far as is known."""
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
        waking = asyncio.create_task(self._wake_while_not_live())
        try:
            while True:
                with suppress(RedisError, OSError):
                    await self._listen()
                await asyncio.sleep(self._timings.notification_reconnect)
        finally:
            waking.cancel()

    async def _listen(self) -> None:
        timeout = self._timings.notification_answer
        redis = Redis.from_url(
            self._url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # The library's own, unseen reconnection would lose what is published meanwhile.
            retry=Retry(NoBackoff(), 0),
        )
        async with redis, redis.pubsub() as subscription:
            await subscription.subscribe(self._channel)
            try:
                async for message in self._messages(subscription):
                    if message["type"] == "subscribe":
                        self.live = True
                        self._wake_all()  # nothing that was published before this was received
                    elif message["type"] == "message":
                        self._wake(message["data"].decode())
            finally:
                self.live = False

    async def _messages(self, subscription: PubSub) -> AsyncIterator[dict[str, Any]]:
        """Raise RedisError if the subscription or, after a silence, a ping is not answered."""
        pinged = False
        while True:
            timings = self._timings
            message = await subscription.get_message(
                timeout=timings.notification_pong if pinged else timings.notification_silence
            )
            if message is not None:
                pinged = False
                yield message
            elif pinged or not self.live:
                raise RedisConnectionError("no answer to a ping, or to the subscription")
            else:
                await subscription.ping()
                pinged = True

    async def _wake_while_not_live(self) -> None:
        while True:
            await asyncio.sleep(self._timings.notification_reading)
            if not self.live:
                self._wake_all()

    def _wake(self, job_id: str) -> None:
        for event in self._waiting.get(job_id, ()):
            event.set()

    def _wake_all(self) -> None:
        for job_id in self._waiting:
            self._wake(job_id)
