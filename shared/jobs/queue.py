"""Celery as both sides see it: its configuration, the way to enqueue a job, what is enqueued.

A message holds the job id and nothing else.
"""

import json
from collections.abc import Iterator
from typing import Any, cast

import kombu
from celery import Celery
from celery.exceptions import CeleryError
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from shared.errors import ServiceUnavailableError
from shared.jobs.kinds import JOB_QUEUES, KINDS, QUEUES, WEBHOOK_QUEUE, WEBHOOK_TASK
from shared.jobs.states import JobKind
from shared.keyspace import KeySpace
from shared.redis.connection import Redis, redis_errors_translated
from shared.timings import PRODUCTION, Timings

_UNACKED = "unacked"
_PAGE = 1000


def _transport(timings: Timings, keyspace: KeySpace) -> dict[str, Any]:
    return {
        "visibility_timeout": timings.visibility_timeout,
        "unacked_restore_interval": timings.redelivery_interval,
        "unacked_restore_throttle": 1,
        "unacked_mutex_expire": timings.redelivery_lock,
        "global_keyprefix": keyspace.celery,
        "unacked_key": _UNACKED,
        # Queues are served in their order.
        "queue_order_strategy": "priority",
        "health_check_interval": 10,
        # A worker sends too, where a job has to come back: no thread of it waits for ever.
        **_bounded(timings.redis_answer_worker),
    }


def _bounded(timeout: float) -> dict[str, Any]:
    """Bound each wait for the broker. kombu would try again two seconds later, for ever."""
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry_on_timeout": False,
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0,
    }


def celery_app(
    broker_url: str, timings: Timings = PRODUCTION, keyspace: KeySpace = Redis.keyspace
) -> Celery:
    """The Celery application of workers and of Flower, with everything set that a worker needs."""
    app = Celery("fittrack")
    app.conf.update(
        _configuration(broker_url),
        worker_pool="threads",
        worker_concurrency=32,
        worker_prefetch_multiplier=1,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_send_task_events=True,
        worker_hijack_root_logger=False,
        worker_enable_remote_control=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_transport(timings, keyspace),
    )
    return app


class JobQueue:
    """Sends jobs to the workers. One instance for a process, used by up to `threads` at once."""

    def __init__(
        self,
        broker_url: str,
        timeout: float,
        threads: int = 10,
        timings: Timings = PRODUCTION,
        keyspace: KeySpace = Redis.keyspace,
    ) -> None:
        self._app = Celery("fittrack", set_as_current=False)
        self._app.conf.update(
            _configuration(broker_url),
            broker_connection_timeout=timeout,
            broker_pool_limit=threads,  # no thread waits for another's connection
            broker_transport_options=_transport(timings, keyspace) | _bounded(timeout),
        )

    def put(self, kind: JobKind, job_id: str) -> None:
        """Enqueue one job. Raises ServiceUnavailableError, within the timeout, if that fails."""
        self._send(KINDS[kind].task, KINDS[kind].queue, job_id)

    def put_endpoint(self, endpoint_id: str) -> None:
        """Have some worker make the deliveries that are due for an endpoint of webhooks.

        Raises ServiceUnavailableError, within the timeout, if that fails.
        """
        self._send(WEBHOOK_TASK, WEBHOOK_QUEUE, endpoint_id)

    def _send(self, task: str, queue: str, name: str) -> None:
        try:
            self._app.send_task(task, args=[name], task_id=name, queue=queue, retry=False)
        except (CeleryError, KombuError, RedisError, OSError):
            raise ServiceUnavailableError("broker") from None


class QueuedMessages:
    """The messages that the broker has: those that wait, and those that workers have in hand."""

    def __init__(self, broker: Redis) -> None:
        self._broker = broker
        self._prefix = broker.keyspace.celery

    @redis_errors_translated
    def job_ids(self) -> set[str]:
        """Return the jobs that have a message. Raises ServiceUnavailableError.

        A message that is moved meanwhile may be missed.
        """
        waiting = [_job_id(message) for queue in JOB_QUEUES for message in self._pages(queue)]
        in_hand = cast("list[bytes]", self._broker.hvals(self._prefix + _UNACKED))
        return {job_id for job_id in (*waiting, *map(_job_id, in_hand)) if job_id is not None}

    @redis_errors_translated
    def count(self, queue: str) -> int:
        """Return how many wait in a queue. Raises ServiceUnavailableError."""
        return self._broker.llen(self._prefix + queue)

    def _pages(self, queue: str) -> Iterator[bytes]:
        """Newest first, as messages come in at the start of the list and go out at its end."""
        start, key = 0, self._prefix + queue
        while page := cast("list[bytes]", self._broker.lrange(key, start, start + _PAGE - 1)):
            yield from page
            start += _PAGE


def _job_id(stored: bytes) -> str | None:
    """Read a waiting message, or the list that kombu keeps for one in hand; None if neither."""
    try:
        message = json.loads(stored)
        headers = (message[0] if isinstance(message, list) else message)["headers"]
        return str(headers["id"])
    except (ValueError, LookupError, TypeError):
        return None


def _configuration(broker_url: str) -> dict[str, Any]:
    return {
        "broker_url": broker_url,
        "task_queues": [_queue(name) for name in QUEUES],
        "task_routes": {task: {"queue": queue} for task, queue in _routes()},
        "task_default_queue": QUEUES[-1],
        "task_serializer": "json",
        "accept_content": ["json"],
        "event_serializer": "json",
        "task_ignore_result": True,
        "result_backend": None,
        "task_publish_retry": False,
        "enable_utc": True,
    }


def _routes() -> Iterator[tuple[str, str]]:
    yield from ((row.task, row.queue) for row in KINDS.values())
    yield WEBHOOK_TASK, WEBHOOK_QUEUE


def _queue(name: str) -> kombu.Queue:
    return kombu.Queue(name, exchange=kombu.Exchange(name), routing_key=name)
