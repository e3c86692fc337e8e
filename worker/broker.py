"""kombu's Redis transport, as it has to be to outlive its Redis.

A job that runs while the broker's connection breaks still has its message in the old channel. When
kombu 5.7 then acknowledges it, or puts it back, the channel has no connection any more, and what it
raises is an AttributeError, of which Celery's worker dies. Here it is the connection error that
Celery expects, logs and survives; the message comes back by its visibility timeout, and finds a job
that has ended or is held.

A Redis without memory left refuses what kombu has to write, and the worker would die of that too,
with the messages that it had just taken out of their queues. Here it waits for memory, and for the
disk that an append-only file or a snapshot could not be written to.

What is no job's message is set aside. kombu and Celery would raise what ends the worker, in some
cases with the message given back, for the next worker to end as well.

A worker takes as many messages as it has threads. Some are kept for urgent ones: with these alone
left, the others stay in their queue.
"""

import logging
import time
from collections.abc import Callable, Iterable
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Channel, QoS, Transport
from kombu.utils.json import dumps, loads
from kombu.utils.scheduling import priority_cycle
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError
from redis.retry import Retry

from shared.errors import ServiceUnavailableError
from shared.jobs.kinds import QUEUES, URGENT_QUEUES
from shared.jobs.messages import MessageFault, NotAJobError, read_message
from shared.redis.connection import READ_SIZE
from shared.timings import PRODUCTION, Timings

_log = logging.getLogger(__name__)
_ROOM_INTERVAL = 0.02

Keep = Callable[[str, MessageFault, bytes], None]
"""Keeps what is set aside: `SetAside.add`."""

_NO_QUEUE_TTL = 7 * 86_400
_CONTROL = "control"
"""What commands to workers, and their events, are counted under, in the place of a queue."""


class _WaitsForRoom(Retry):
    """Repeats what was refused for want of memory or disk, as long as it takes; nothing else."""

    def __init__(self, pause: float) -> None:
        super().__init__(NoBackoff(), 0)
        self._pause = pause

    def call_with_retry(self, do: Any, fail: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """The library's. `fail` closes the connection, and ends what watched a key on it."""
        while True:
            try:
                return super().call_with_retry(do, fail, *args, **kwargs)
            except ResponseError as error:
                if not _is_full(error):
                    raise
                time.sleep(self._pause)
                if kwargs.get("with_failure_count"):
                    fail(error, 1)
                else:
                    fail(error)


def _is_full(error: ResponseError) -> bool:
    return isinstance(error, OutOfMemoryError) or _is(error, "MISCONF")


def _is(error: ResponseError, code: str) -> bool:
    """Whether Redis answered with this code; in a pipeline, the command stands before it."""
    return str(error).rpartition("caused error: ")[2].startswith(code)


class _CheckedQoS(QoS):  # type: ignore[misc]  # untyped
    """Messages in hand, of which one that can't be read is in nobody's way."""

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:  # noqa: ANN401
        try:
            super().restore_by_tag(tag, client, leftmost)
        except (ValueError, TypeError, LookupError, AttributeError):
            with self.channel.conn_or_acquire(client) as redis:
                stored = redis.hget(self.unacked_key, tag)
                with redis.pipeline() as pipe:
                    pipe.hdel(self.unacked_key, tag).zrem(self.unacked_index_key, tag).execute()
            if isinstance(stored, bytes):
                self.channel.set_aside("unacked", MessageFault.NOT_A_MESSAGE, stored)


class ReconnectingChannel(Channel):  # type: ignore[misc]  # untyped
    QoS = _CheckedQoS
    memory_pause = 1.0
    keep: Keep | None = None
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
            "retry": _WaitsForRoom(self.memory_pause),
            "socket_read_size": READ_SIZE,
        }

    def _brpop_read(self, **options: Any) -> bool:  # noqa: ANN401 - the library's
        """Read one message as kombu does, but for the check of what is in a job queue."""
        try:
            queue, stored = self._popped(**options)
            self._queue_cycle.rotate(queue)
            self.connection._deliver(self._checked(queue, stored), queue)
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()

    def _popped(self, **options: Any) -> tuple[str, bytes]:  # noqa: ANN401 - the library's
        connection = self.client.connection
        try:
            answer = self.client.parse_response(connection, "BRPOP", **options)
        except self.connection_errors:
            connection.disconnect()
            raise
        except ResponseError as error:
            if _is_full(error):
                time.sleep(self.memory_pause)
                raise Empty from None
            if not _is(error, "WRONGTYPE"):
                raise
            self._move_what_is_no_queue(self.active_queues)
            raise Empty from None
        if not answer:
            raise Empty
        name, stored = answer
        return str(name, "utf-8").rsplit(self.sep, 1)[0], stored

    def _checked(self, queue: str, stored: bytes) -> Any:  # noqa: ANN401 - kombu's message
        """Raise Empty if there is nothing to deliver."""
        try:
            if queue in QUEUES:
                return read_message(stored)
            return loads(stored.decode())
        except NotAJobError as error:
            self.set_aside(queue, error.fault, stored)
        except ValueError:
            self.set_aside(queue, MessageFault.NOT_JSON, stored)
        raise Empty

    def _size(self, queue: str) -> int:
        """Return the queue's length. kombu asks for it before it reads a queue."""
        try:
            return int(super()._size(queue))
        except ResponseError as error:
            if not _is(error, "WRONGTYPE"):
                raise
            self._move_what_is_no_queue([queue])
            return int(super()._size(queue))

    def _move_what_is_no_queue(self, names: Iterable[str]) -> None:
        """Rename what has a queue's name and is no list; it expires as other messages do."""
        queues = [self._q_for_pri(name, step) for name in names for step in self.priority_steps]
        with self.conn_or_acquire() as redis:
            for queue in queues:
                name = f"{self.global_keyprefix}{queue}"
                if redis.type(name) not in (b"list", b"none"):
                    aside = f"{self.global_keyprefix}not-a-queue:{queue}"
                    redis.rename(name, aside)
                    redis.expire(aside, _NO_QUEUE_TTL)
                    self.set_aside(queue, MessageFault.NOT_A_QUEUE, b"")

    def _deliver_fanout_message(self, message: Any, exchange: str) -> bool:  # noqa: ANN401
        """Deliver a command to workers, or an event of theirs; one lost does no harm."""
        if exchange not in self._fanout_to_queue:
            return False
        try:
            return bool(super()._deliver_fanout_message(message, exchange))
        except (RedisError, OSError):
            raise
        except Exception:  # noqa: BLE001, RUF100 - whatever the libraries make of it
            self.set_aside(_CONTROL, MessageFault.NOT_A_MESSAGE, dumps(message).encode())
            return False

    def set_aside(self, queue: str, fault: MessageFault, stored: bytes) -> None:
        size = len(stored)
        _log.error("queue %s: no job's message (%s, %d bytes): set aside", queue, fault, size)
        if self.keep is None:
            return
        try:
            self.keep(queue, fault, stored)
        except ServiceUnavailableError:
            _log.error("what was set aside could not be kept: Redis does not answer")  # noqa: TRY400, RUF100

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


def install(timings: Timings = PRODUCTION, keep: Keep | None = None) -> None:
    """Use it for `redis://` and `rediss://` in this process, from the next connection on."""
    ReconnectingChannel.memory_pause = timings.redis_memory_pause
    ReconnectingChannel.keep = keep and staticmethod(keep)
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{ReconnectingTransport.__name__}"


def keep_room(messages: int) -> None:
    """Take that many of the messages that may be in hand from urgent queues alone."""
    ReconnectingChannel.kept_room = messages
