"""What lies on the broker for a job: its id, in the right queue, and nothing else."""

import base64
import json
from typing import Any, cast

import pytest

from shared.errors import ServiceUnavailableError
from shared.jobs.kinds import KINDS
from shared.jobs.queue import JobQueue, QueuedMessages
from shared.jobs.states import JobKind
from shared.redis.connection import Redis, connect
from tests.shared.samples import at_once, nobody_answers, nothing_listens
from worker.celery_app import celery_app

JOB_ID = "6e2b7c1e-0000-4000-8000-0123456789ab"


def messages(redis: Redis, queue: str) -> list[dict[str, Any]]:
    return [
        json.loads(raw)
        for raw in cast("list[bytes]", redis.lrange(f"fittrack:celery:{queue}", 0, -1))
    ]


@pytest.mark.parametrize(
    ("kind", "queue", "task"),
    [
        (JobKind.LOGIN, "login", "garmin.login"),
        (JobKind.MFA_COMPLETION, "mfa", "garmin.complete_mfa"),
    ],
)
def test_a_message_holds_the_job_id_and_nothing_else(
    real_redis_url: str, kind: JobKind, queue: str, task: str
) -> None:
    JobQueue(real_redis_url, timeout=30).put(kind, JOB_ID)
    with connect(real_redis_url, timeout=30) as redis:
        (message,) = messages(redis, queue)
        other = ({"login", "mfa"} - {queue}).pop()
        assert messages(redis, other) == []
    assert (message["content-type"], message["content-encoding"]) == ("application/json", "utf-8")
    args, kwargs, embedded = json.loads(base64.b64decode(message["body"]))
    assert (args, kwargs) == ([JOB_ID], {})
    assert not any(embedded.values())
    headers = message["headers"]
    assert (headers["id"], headers["task"]) == (JOB_ID, task)
    assert headers["argsrepr"] == f"['{JOB_ID}']"
    assert headers["kwargsrepr"] == "{}"
    assert message["properties"]["delivery_info"]["routing_key"] == queue


def test_messages_keep_their_order(real_redis_url: str) -> None:
    queue = JobQueue(real_redis_url, timeout=30)
    for number in range(5):
        queue.put(JobKind.LOGIN, f"job-{number}")
    with connect(real_redis_url, timeout=30) as redis:
        newest_first = [message["headers"]["id"] for message in messages(redis, "login")]
        assert newest_first == [f"job-{number}" for number in reversed(range(5))]


def test_each_job_with_a_message_is_known_whether_it_waits_or_a_worker_has_it(
    real_redis_url: str,
) -> None:
    queue = JobQueue(real_redis_url, timeout=30)
    sent = {f"job-{number}" for number in range(2500)}
    with connect(real_redis_url, timeout=30) as redis:
        queue.put(JobKind.LOGIN, "job-0")
        (message,) = cast("list[bytes]", redis.lrange("fittrack:celery:login", 0, -1))
        redis.rpush(
            "fittrack:celery:login", *(message.replace(b"job-0", name.encode()) for name in sent)
        )
        queue.put(JobKind.MFA_COMPLETION, "a-code")
        app = celery_app(real_redis_url)
        with app.connection_for_read() as connection:
            assert redis.llen("fittrack:celery:login") == len(sent) + 1
            connection.SimpleQueue(app.conf.task_queues[1]).get()
            assert redis.llen("fittrack:celery:login") == len(sent)
            redis.lpush("fittrack:celery:login", "not a message", "[]", '{"headers": 5}')
            assert QueuedMessages(redis).job_ids() == sent | {"a-code"}


def test_a_worker_that_dies_giving_messages_back_keeps_no_other_from_it_for_long(
    real_redis_url: str,
) -> None:
    with celery_app(real_redis_url).connection_for_read() as connection:
        assert connection.default_channel.qos.unacked_mutex_expire <= 10


def test_many_threads_may_send_at_once(real_redis_url: str) -> None:
    queue = JobQueue(real_redis_url, timeout=30)
    answers = at_once(lambda number: queue.put(JobKind.LOGIN, f"job-{number}"))
    assert answers == [None] * 32
    with connect(real_redis_url, timeout=30) as redis:
        sent = {message["headers"]["id"] for message in messages(redis, "login")}
    assert sent == {f"job-{number}" for number in range(32)}


def test_a_broker_that_is_away_is_unavailable() -> None:
    with pytest.raises(ServiceUnavailableError) as caught:
        JobQueue(f"redis://:broker-password@{nothing_listens()}/0", timeout=1).put(
            JobKind.LOGIN, JOB_ID
        )
    assert caught.value.what == "broker"
    assert caught.value.__suppress_context__


@pytest.mark.timeout(60)
def test_a_broker_that_does_not_answer_is_not_waited_for() -> None:
    with nobody_answers() as address, pytest.raises(ServiceUnavailableError):
        JobQueue(f"redis://{address}/0", timeout=1).put(JobKind.LOGIN, JOB_ID)


def test_a_broker_that_comes_back_is_used_again(real_redis_url: str) -> None:
    queue = JobQueue(real_redis_url, timeout=30)
    queue.put(JobKind.LOGIN, "before")
    with connect(real_redis_url, timeout=30) as redis:
        redis.client_kill_filter(_type="normal", skipme=True)
        for _ in range(3):  # the first may still find a connection that is dead
            try:
                queue.put(JobKind.LOGIN, "after")
                break
            except ServiceUnavailableError:
                continue
        sent = [message["headers"]["id"] for message in messages(redis, "login")]
    assert sent == ["after", "before"]


def test_a_worker_takes_what_the_api_sends() -> None:
    app = celery_app("redis://127.0.0.1/0")
    conf = app.conf
    assert set(KINDS) == set(JobKind)
    # People with a code in hand are served first, refreshes last.
    assert [queue.name for queue in conf.task_queues] == ["mfa", "login", "refresh", "webhooks"]
    for kind in KINDS.values():
        assert conf.task_routes[kind.task] == {"queue": kind.queue}
    assert conf.accept_content == ["json"]
    assert conf.task_ignore_result
    assert conf.result_backend is None


def test_a_worker_is_set_up_to_lose_nothing() -> None:
    conf = celery_app("redis://127.0.0.1/0").conf
    assert (conf.worker_pool, conf.worker_concurrency) == ("threads", 32)
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1
    assert conf.worker_send_task_events
    transport = conf.broker_transport_options
    assert transport["visibility_timeout"] == 20
    assert transport["unacked_restore_interval"] == 2
    assert transport["unacked_restore_throttle"] == 1
