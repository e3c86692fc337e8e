"""What is in a job queue and is no job's message: it stops no worker, and is kept and counted."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from dev.stack import Stack
from shared.jobs.kinds import QUEUES
from shared.jobs.messages import MessageFault
from shared.jobs.queue import JobQueue
from shared.jobs.states import JobKind
from tests.api.test_health import figures
from tests.end_to_end.client import Client
from tests.end_to_end.recorders import wait_until

PLANTED = "planted-secret"
KEPT = 100


def message(redis_url: str) -> dict[str, Any]:
    """One as the API sends it, for a job that there is not."""
    with Redis.from_url(redis_url) as redis:
        JobQueue(redis_url, timeout=10).put(JobKind.LOGIN, "no-job")
        stored = redis.rpop("fittrack:celery:login")
    assert isinstance(stored, bytes)
    found: dict[str, Any] = json.loads(stored)
    return found


def encoded(body: object) -> str:
    return base64.b64encode(json.dumps(body).encode()).decode()


def poisons(good: dict[str, Any]) -> dict[str, object]:
    headers, properties = good["headers"], good["properties"]
    nothing_after = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return {
        "a number": 5,
        "a list": [1, 2, PLANTED],
        "null": None,
        "no fields": {},
        "no properties": {k: v for k, v in good.items() if k != "properties"},
        "properties are a number": good | {"properties": 1},
        "no delivery tag": good | {"properties": {"body_encoding": "base64"}},
        "delivery tag is a list": good | {"properties": properties | {"delivery_tag": []}},
        "no headers": good | {"headers": None},
        "headers are text": good | {"headers": PLANTED},
        "body is not base64": good | {"body": f"%%%{PLANTED}"},
        "body is a number": good | {"body": 7},
        "body is not JSON": good | {"body": base64.b64encode(b"{" + PLANTED.encode()).decode()},
        "body holds a number": good | {"body": encoded(7)},
        "body holds no arguments": good | {"body": encoded([7, 7, 7])},
        "body holds two arguments": good | {"body": encoded([[1, 2], {}, nothing_after])},
        "body calls something": good | {"body": encoded([["no-job"], {}, {"chain": [PLANTED]}])},
        "unknown task": good | {"headers": headers | {"task": PLANTED}},
        "task is a list": good | {"headers": headers | {"task": [PLANTED]}},
        "eta is no time": good | {"headers": headers | {"eta": PLANTED}},
        "pickle": good | {"content-type": "application/x-python-serialize"},
        "text": good | {"content-type": "text/plain"},
        "unknown encoding": good | {"content-encoding": "utf-77"},
    }


def signs_in(client: Client, username: str) -> bool:
    return bool(client.wait(client.submit_login(username))["status"] == "succeeded")


def set_aside(client: Client) -> dict[str, float]:
    metrics = figures(client.http.get("/metrics").text)
    counts = metrics.get("fittrack_messages_set_aside_total", {})
    return {dict(labels)["fault"]: count for labels, count in counts.items() if count}


def test_poison_in_the_queues_stops_no_worker(
    own_stack: Stack, own_client: Client, real_redis_url: str
) -> None:
    good = message(real_redis_url)
    own_stack.start()
    kinds = poisons(good)
    raw = [
        b"no json",
        b"\xff\xfe",
        b"[" * 100_000,
        b"",
        *(json.dumps(p).encode() for p in kinds.values()),
    ]
    with Redis.from_url(real_redis_url) as redis:
        for queue in QUEUES:
            redis.lpush(f"fittrack:celery:{queue}", *raw)
        assert signs_in(own_client, "plain-ann@example.com")
        wait_until(lambda: sum(set_aside(own_client).values()) == len(QUEUES) * len(raw))
        assert set(set_aside(own_client)) == set(MessageFault) - {MessageFault.NOT_A_QUEUE}
        kept = redis.lrange("fittrack:set-aside", 0, -1)
        assert {json.loads(entry)["queue"] for entry in kept} == set(QUEUES)

        (running,) = own_stack.workers
        assert running.running
        running.stop()
        redis.lpush("fittrack:celery:login", *raw)
        new = own_stack.begin_worker().wait_ready()
        assert signs_in(own_client, "plain-ben@example.com")
        assert new.running
        kept = redis.lrange("fittrack:set-aside", 0, -1)
        assert 0 < redis.ttl("fittrack:set-aside") <= 7 * 86_400
    assert len(kept) == KEPT < len(raw) * (len(QUEUES) + 1)
    for worker in own_stack.workers:
        assert "set aside" in worker.output()
        assert PLANTED not in worker.output()


def test_what_is_no_queue_and_has_the_name_of_one_is_moved(
    own_stack: Stack, own_client: Client, real_redis_url: str
) -> None:
    with Redis.from_url(real_redis_url) as redis:
        for queue in QUEUES:
            redis.set(f"fittrack:celery:{queue}", PLANTED)
        own_stack.start()
        wait_until(lambda: set_aside(own_client) == {MessageFault.NOT_A_QUEUE: len(QUEUES)})
        assert redis.ttl("fittrack:celery:not-a-queue:login") > 0
    assert signs_in(own_client, "plain-ann@example.com")
    assert own_stack.workers[0].running


@pytest.fixture
def own_client(own_stack: Stack) -> Iterator[Client]:
    """One that waits no longer than a worker that is well needs."""
    client = Client(own_stack.url, patience=30)
    yield client
    client.close()


@pytest.mark.parametrize("channel", ["/0.celery.pidbox", "/0.celeryev/worker.heartbeat"])
def test_commands_that_can_not_be_read_stop_no_worker(
    own_stack: Stack, own_client: Client, real_redis_url: str, channel: str
) -> None:
    good = message(real_redis_url)
    own_stack.start()
    with Redis.from_url(real_redis_url) as redis:
        for poison in (*poisons(good).values(), PLANTED):
            redis.publish(f"fittrack:celery:{channel}", json.dumps(poison))
        redis.publish(f"fittrack:celery:{channel}", b"no json")
    assert signs_in(own_client, "plain-ann@example.com")
    assert own_stack.workers[0].running
    assert PLANTED not in own_stack.workers[0].output()


def test_poison_among_the_messages_in_hand_is_in_nobodys_way(
    own_stack: Stack, own_client: Client, real_redis_url: str
) -> None:
    own_stack.start()
    with Redis.from_url(real_redis_url) as redis:
        for number, stored in enumerate((b"no json", b"5", b"[1]", b'["a", "b", "c"]')):
            redis.hset("fittrack:celery:unacked", f"tag{number}", stored)
            redis.zadd("fittrack:celery:unacked_index", {f"tag{number}": 1.0})
        wait_until(lambda: not redis.exists("fittrack:celery:unacked"))
    assert signs_in(own_client, "plain-ann@example.com")
    assert own_stack.workers[0].running
