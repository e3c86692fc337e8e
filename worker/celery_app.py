"""The Celery application of workers and of Flower, with everything set that a worker needs."""

from collections.abc import Iterator
from typing import Any

import kombu
from celery import Celery

from shared.jobs.kinds import KINDS, QUEUES, WEBHOOK_QUEUE, WEBHOOK_TASK
from shared.jobs.queue import UNACKED
from shared.keyspace import KeySpace
from shared.redis.connection import Redis
from shared.timings import PRODUCTION, Timings


def celery_app(
    broker_url: str, timings: Timings = PRODUCTION, keyspace: KeySpace = Redis.keyspace
) -> Celery:
    app = Celery("fittrack")
    app.conf.update(
        broker_url=broker_url,
        task_queues=[_queue(name) for name in QUEUES],
        task_routes={task: {"queue": queue} for task, queue in _routes()},
        task_default_queue=QUEUES[-1],
        task_serializer="json",
        accept_content=["json"],
        event_serializer="json",
        task_ignore_result=True,
        result_backend=None,
        task_publish_retry=False,
        enable_utc=True,
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


def _transport(timings: Timings, keyspace: KeySpace) -> dict[str, Any]:
    return {
        "visibility_timeout": timings.visibility_timeout,
        "unacked_restore_interval": timings.redelivery_interval,
        "unacked_restore_throttle": 1,
        "unacked_mutex_expire": timings.redelivery_lock,
        "global_keyprefix": keyspace.celery,
        "unacked_key": UNACKED,
        # Queues are served in their order.
        "queue_order_strategy": "priority",
        "health_check_interval": 10,
        # A worker sends too, where a job has to come back: no thread of it waits for ever. kombu
        # would try again two seconds later, without an end.
        "socket_timeout": timings.redis_answer_worker,
        "socket_connect_timeout": timings.redis_answer_worker,
        "retry_on_timeout": False,
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0,
    }


def _routes() -> Iterator[tuple[str, str]]:
    yield from ((row.task, row.queue) for row in KINDS.values())
    yield WEBHOOK_TASK, WEBHOOK_QUEUE


def _queue(name: str) -> kombu.Queue:
    return kombu.Queue(name, exchange=kombu.Exchange(name), routing_key=name)
