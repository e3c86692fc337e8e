"""kombu's Redis transport, as it has to be to outlive its Redis.

A job that runs while the broker's connection breaks still has its message in the old channel. When
kombu 5.7 then acknowledges it, or puts it back, the channel has no connection any more, and what it
raises is an AttributeError, of which Celery's worker dies. Here it is the connection error that
Celery expects, logs and survives; the message comes back by its visibility timeout, and finds a job
that has ended or is held.

A Redis without memory left refuses what kombu has to write, and the worker would die of that too,
with the messages that it had just taken out of their queues. Here it waits for memory.

A worker takes as many messages as it has threads. Some are kept for urgent ones: with these alone
left, the others stay in their queue.
"""

import time
from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Channel, Transport
from kombu.utils.scheduling import priority_cycle
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError
from redis.retry import Retry

from shared.jobs.kinds import URGENT_QUEUES
from shared.timings import PRODUCTION, Timings

_ROOM_INTERVAL = 0.02


class _WaitsForMemory(Retry):
    """Repeats what was refused for want of memory, for as long as it takes; nothing else."""

    def __init__(self, pause: float) -> None:
        super().__init__(NoBackoff(), 0)
        self._pause = pause

    def call_with_retry(self, do: Any, fail: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """The library's. `fail` closes the connection, and ends what watched a key on it."""
        while True:
            try:
                return super().call_with_retry(do, fail, *args, **kwargs)
            except OutOfMemoryError as error:
                time.sleep(self._pause)
                if kwargs.get("with_failure_count"):
                    fail(error, 1)
                else:
                    fail(error)


class ReconnectingChannel(Channel):  # type: ignore[misc]  # untyped
    memory_pause = 1.0
    kept_room = 0
    _queue_cycle: priority_cycle
    _sync_client: Redis | None = None

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: ANN401 - the library's
        """One client for each pool: kombu makes one for each command, at the command's price."""
        if asynchronous:
            return super()._create_client(asynchronous=True)
        if self._sync_client is None or self._sync_client.connection_pool is not self.pool:
            self._sync_client = super()._create_client()
        return self._sync_client

    def _connparams(self, asynchronous: bool = False) -> Any:  # noqa: ANN401 - the library's
        if self.connection is None or self.connection.client is None:
            raise RedisConnectionError("the channel's connection is closed")
        return super()._connparams(asynchronous=asynchronous) | {
            "retry": _WaitsForMemory(self.memory_pause)
        }

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Take no message but urgent ones once only the room that is kept for them is left.

        How many messages are in hand is known here exactly. Room is looked for often: what waits
        has waited already.
        """
        room = self.qos.can_consume_max_estimate()
        everything = self._queue_cycle
        if room is not None and room <= self.kept_room:
            urgent = [queue for queue in everything.items if queue in URGENT_QUEUES]
            self._queue_cycle, timeout = priority_cycle(urgent), _ROOM_INTERVAL
        try:
            super()._brpop_start(timeout)
        finally:
            self._queue_cycle = everything


class ReconnectingTransport(Transport):  # type: ignore[misc]  # untyped
    Channel = ReconnectingChannel


def install(timings: Timings = PRODUCTION) -> None:
    """Use it for `redis://` and `rediss://` in this process, from the next connection on."""
    ReconnectingChannel.memory_pause = timings.redis_memory_pause
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{ReconnectingTransport.__name__}"


def keep_room(messages: int) -> None:
    """Take that many of the messages that may be in hand from urgent queues alone."""
    ReconnectingChannel.kept_room = messages
