"""Celery as both sides see it: its configuration, and the API's way to enqueue a job.

A message holds the job id and nothing else.
"""

from typing import Any

import kombu
from celery import Celery
from celery.exceptions import CeleryError
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from shared.errors import ServiceUnavailableError
from shared.jobs.states import JobKind
from shared.timings import PRODUCTION, Timings

TASKS: dict[JobKind, str] = {
    JobKind.LOGIN: "garmin.login",
    JobKind.MFA_COMPLETION: "garmin.complete_mfa",
}
_SERVED_IN_ORDER = (JobKind.MFA_COMPLETION, JobKind.LOGIN)
QUEUES: dict[JobKind, str] = {JobKind.LOGIN: "login", JobKind.MFA_COMPLETION: "mfa"}


def _transport(timings: Timings) -> dict[str, Any]:
    return {
        "visibility_timeout": timings.visibility_timeout,
        "unacked_restore_interval": timings.redelivery_interval,
        "unacked_restore_throttle": 1,
        "unacked_mutex_expire": timings.redelivery_lock,
        # Queues are asked in their order: people with a code in hand first.
        "queue_order_strategy": "priority",
        "health_check_interval": 10,
    }


def celery_app(broker_url: str, timings: Timings = PRODUCTION) -> Celery:
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
        broker_transport_options=_transport(timings),
    )
    return app


class JobQueue:
    """Sends jobs to the workers. One instance for a process, used by up to `threads` at once."""

    def __init__(
        self, broker_url: str, timeout: float, threads: int = 10, timings: Timings = PRODUCTION
    ) -> None:
        self._app = Celery("fittrack")
        self._app.conf.update(
            _configuration(broker_url),
            broker_connection_timeout=timeout,
            broker_pool_limit=threads,  # nobody waits for another's connection
            broker_transport_options=_transport(timings)
            | {
                "socket_timeout": timeout,
                "socket_connect_timeout": timeout,
                "retry_on_timeout": False,
                # kombu would try again two seconds later.
                "max_retries": 1,
                "interval_start": 0,
                "interval_step": 0,
            },
        )

    def put(self, kind: JobKind, job_id: str) -> None:
        """Enqueues one job. Raises ServiceUnavailableError, within the timeout, if that fails."""
        try:
            self._app.send_task(
                TASKS[kind], args=[job_id], task_id=job_id, queue=QUEUES[kind], retry=False
            )
        except (CeleryError, KombuError, RedisError, OSError):
            message = "broker"
            raise ServiceUnavailableError(message) from None


def _configuration(broker_url: str) -> dict[str, Any]:
    return {
        "broker_url": broker_url,
        "task_queues": [_queue(QUEUES[kind]) for kind in _SERVED_IN_ORDER],
        "task_routes": {TASKS[kind]: {"queue": QUEUES[kind]} for kind in JobKind},
        "task_default_queue": QUEUES[JobKind.LOGIN],
        "task_serializer": "json",
        "accept_content": ["json"],
        "event_serializer": "json",
        "task_ignore_result": True,
        "result_backend": None,
        "task_send_sent_event": True,
        "task_publish_retry": False,
        "enable_utc": True,
    }


def _queue(name: str) -> kombu.Queue:
    return kombu.Queue(name, exchange=kombu.Exchange(name), routing_key=name)
