"""A Redis without memory left (`noeviction`): nothing new is taken, nothing old is lost."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis

from dev.servers import RedisServer
from dev.simulator import Simulator
from dev.stack import Stack
from tests.end_to_end.client import Client
from tests.programs import TIMINGS

LOGIN = "/mobile/api/login"
VERIFY = "/mobile/api/mfa/verifyCode"


@pytest.fixture
def stack(frail_stack: Stack) -> Stack:
    """In the place of the one that runs for all tests."""
    return frail_stack


@contextmanager
def full(server: RedisServer) -> Iterator[None]:
    with Redis.from_url(server.url) as redis:
        redis.config_set("maxmemory", "1")
        try:
            yield
        finally:
            redis.config_set("maxmemory", "0")


def test_a_code_refused_for_lack_of_memory_can_be_sent_again(
    client: Client, own_redis: RedisServer, garmin: Simulator
) -> None:
    job = client.submit_login("email-tom@example.com")
    asked = client.wait(job)
    body = {
        "challenge_id": asked["mfa_challenge_id"],
        "mfa_code": garmin.code("email-tom@example.com"),
    }
    with full(own_redis):
        for _ in range(2):
            refused = client.http.post("/api/garmin/login/mfa-complete", json=body)
            assert refused.status_code == 503
            assert refused.json()["code"] == "service_unavailable"
        assert client.poll(job).json()["mfa_challenge_id"] == asked["mfa_challenge_id"]

    signed_in = client.send_code(asked, body["mfa_code"])

    assert signed_in["status"] == "succeeded", signed_in
    assert garmin.count("codes_sent") == garmin.count("codes_checked") == 1


def test_running_jobs_end_once_redis_has_memory_again(
    client: Client, own_redis: RedisServer, garmin: Simulator
) -> None:
    """Garmin's answers arrive while nothing can be written down."""
    asked = client.login("email-uli@example.com")
    garmin.configure(latency_by_path={LOGIN: 2000, VERIFY: 2000})
    code = client.submit_code(asked["mfa_challenge_id"], garmin.code("email-uli@example.com"))
    login = client.submit_login("email-val@example.com")
    client.wait_for_stage(code, "checking_code")
    client.wait_for_stage(login, "contacting_garmin")
    with full(own_redis):
        time.sleep(TIMINGS.lease + 2)
        assert client.poll(code).json()["status"] == "running"
        assert client.poll(login).json()["status"] == "running"
    garmin.configure(latency_by_path={})

    signed_in = client.wait(code)
    assert signed_in["status"] == "succeeded", signed_in
    asked = client.wait(login)
    assert asked["status"] == "mfa_required", asked
    signed_in = client.send_code(asked, garmin.code("email-val@example.com"))
    assert signed_in["status"] == "succeeded", signed_in
    assert garmin.count("credential_posts") == 2
    assert garmin.count("codes_sent") == garmin.count("codes_checked") == 2


def test_jobs_queued_in_a_full_redis_are_not_lost(
    stack: Stack, client: Client, own_redis: RedisServer, garmin: Simulator
) -> None:
    """Neither by a worker that waits for the next message, nor by one that is started meanwhile."""
    idle = stack.workers[0]
    idle.signal(signal.SIGSTOP)
    jobs = [client.submit_login(f"plain-queued-{number}@example.com") for number in range(3)]
    with full(own_redis):
        idle.signal(signal.SIGCONT)
        new = stack.begin_worker()
        time.sleep(TIMINGS.visibility_timeout + 2)
        assert {client.poll(job).json()["status"] for job in jobs} == {"queued"}
    assert idle.running
    assert new.running
    for job in jobs:
        assert client.wait(job)["status"] == "succeeded"
    assert garmin.count("credential_posts") == 3
