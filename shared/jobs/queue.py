"""The messages on the broker: each is a task of Celery's whose argument is a job id, no more."""

import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any, cast

from redis.exceptions import RedisError

from shared.errors import ServiceUnavailableError
from shared.jobs.kinds import JOB_QUEUES, KINDS, WEBHOOK_QUEUE, WEBHOOK_TASK
from shared.jobs.states import JobKind
from shared.keyspace import KeySpace
from shared.redis.connection import Redis, connect, redis_errors_translated

UNACKED = "unacked"
"""What Celery calls the messages that workers have in hand."""

_PAGE = 1000
_FOLLOWS_NOTHING = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


class JobQueue:
    """Sends jobs to the workers. Used by any number of threads.

    It writes Celery's messages itself: Celery and kombu would cost each sender 20 MiB, and each
    message three times as much.
    """

    def __init__(
        self, broker_url: str, timeout: float, keyspace: KeySpace = Redis.keyspace
    ) -> None:
        self._broker = connect(broker_url, timeout=timeout, keyspace=keyspace)

    def put(self, kind: JobKind, job_id: str) -> None:
        """Enqueue one job. Raises ServiceUnavailableError, within the timeout, if that fails."""
        self._send(KINDS[kind].task, KINDS[kind].queue, job_id)

    def put_endpoint(self, endpoint_id: str) -> None:
        """Have some worker make the deliveries that are due for an endpoint of webhooks.

        Raises ServiceUnavailableError, within the timeout, if that fails.
        """
        self._send(WEBHOOK_TASK, WEBHOOK_QUEUE, endpoint_id)

    def _send(self, task: str, queue: str, name: str) -> None:
        message = json.dumps(_message(task, queue, name))
        try:
            self._broker.lpush(self._broker.keyspace.celery + queue, message)
        except RedisError:
            raise ServiceUnavailableError("broker") from None


def _message(task: str, queue: str, name: str) -> dict[str, Any]:
    """Return a message of Celery's protocol 2, as kombu's Redis transport keeps it."""
    body = json.dumps([[name], {}, _FOLLOWS_NOTHING])
    return {
        "body": base64.b64encode(body.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": task,
            "id": name,
            "root_id": name,
            "parent_id": None,
            "eta": None,
            "retries": 0,
            "argsrepr": repr([name]),
            "kwargsrepr": "{}",
        },
        "properties": {
            "correlation_id": name,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }


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
        in_hand = cast("list[bytes]", self._broker.hvals(self._prefix + UNACKED))
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
