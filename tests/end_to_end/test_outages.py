"""Redis and PostgreSQL that go away and come back, and processes that die around them."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis

from dev.servers import PostgresServer, RedisServer
from dev.simulator import Simulator
from dev.stack import LIMITS_OFF, Stack, new_key
from tests.end_to_end.client import Client
from tests.programs import PROGRAMS, TIMINGS


@pytest.fixture
def stack(frail_stack: Stack) -> Stack:
    """In the place of the one that runs for all tests."""
    return frail_stack


def test_tokens_are_stored_once_the_database_is_back(
    own_redis: RedisServer,
    garmin: Simulator,
    tmp_path: Path,
    server_folder: Path,
) -> None:
    folder = server_folder / "own-postgres"
    folder.mkdir()
    with PostgresServer(folder) as first:
        assert isinstance(first, PostgresServer)
        settings = {
            "FITTRACK_REDIS_URL": own_redis.url,
            "FITTRACK_DATABASE_URL": first.url,
            "FITTRACK_ENCRYPTION_KEYS": new_key("test"),
            **LIMITS_OFF,
        }
        with Stack(tmp_path, settings, garmin.environment, programs=PROGRAMS) as stack:
            stack.start()
            client = Client(stack.url)
            asked = client.login("email-yara@example.com")
            first.stop()
            job = client.submit_code(
                asked["mfa_challenge_id"], garmin.code("email-yara@example.com")
            )
            client.wait_for_stage(job, "storing")
            time.sleep(1.5 * TIMINGS.store_patience)  # longer than one run waits for the database
            assert client.poll(job).json()["stage"] == "storing"

            with PostgresServer(folder, first.port):
                signed_in = client.wait(job)
                assert signed_in["status"] == "succeeded", signed_in
                assert client.session(signed_in)["garmin"]["linked"] is True
            client.close()
    assert garmin.count("codes_checked") == 1
    assert garmin.count("credential_posts") == 1


def test_jobs_challenges_and_long_polls_survive_a_restart_of_redis(
    stack: Stack, client: Client, own_redis: RedisServer, garmin: Simulator
) -> None:
    asked = client.login("email-zoe@example.com")
    stack.workers[0].stop()
    queued = client.submit_login("plain-abel@example.com")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.wait, queued)
        time.sleep(1.5)  # the append-only file is synced every second
        own_redis.kill()
        with RedisServer(own_redis.folder, own_redis.port):
            stack.begin_worker().wait_ready()

            assert waiting.result()["status"] == "succeeded"
            signed_in = client.send_code(asked, garmin.code("email-zoe@example.com"))
            assert signed_in["status"] == "succeeded", signed_in
    assert garmin.count("codes_sent") == 1


def test_a_sign_in_survives_an_outage_of_redis(
    client: Client, own_redis: RedisServer, garmin: Simulator
) -> None:
    garmin.configure(latency_ms=1500)
    job = client.submit_login("email-bea@example.com")
    client.wait_for_stage(job, "contacting_garmin")
    time.sleep(1.5)
    own_redis.kill()
    time.sleep(TIMINGS.lease + 2)
    garmin.configure(latency_ms=0)
    with RedisServer(own_redis.folder, own_redis.port):
        asked = client.wait(job)
        assert asked["status"] == "mfa_required", asked
        signed_in = client.send_code(asked, garmin.code("email-bea@example.com"))
        assert signed_in["status"] == "succeeded", signed_in
    assert garmin.count("codes_sent") == 1


def test_a_full_redis_refuses_submissions_and_keeps_existing_jobs(
    client: Client, own_redis: RedisServer, garmin: Simulator
) -> None:
    asked = client.login("email-carl@example.com")
    with Redis.from_url(own_redis.url) as redis:
        redis.config_set("maxmemory", "1")
        body = {"username": "plain-dora@example.com", "password": "does not matter"}
        refused = client.http.post("/api/garmin/login", json=body)
        assert refused.status_code == 503
        assert refused.json()["code"] == "service_unavailable"
        redis.config_set("maxmemory", "0")

    signed_in = client.send_code(asked, garmin.code("email-carl@example.com"))
    assert signed_in["status"] == "succeeded", signed_in


def test_a_poll_continues_at_another_api_process(
    stack: Stack, client: Client, garmin: Simulator
) -> None:
    garmin.configure(latency_ms=1500)
    other = Stack(stack.folder, stack.settings, programs=PROGRAMS)
    with other:
        other.begin_api().wait_ready()
        job = client.submit_login("plain-eli@example.com")
        stack.apis[0].kill()

        at_other = Client(other.url)
        assert at_other.wait(job)["status"] == "succeeded"
        at_other.close()


@pytest.mark.parametrize("username", ["hang-fay@example.com", "down-fay@example.com"])
def test_a_garmin_that_does_not_answer_ends_the_job_in_time(
    client: Client, garmin: Simulator, username: str
) -> None:
    failed = client.login(username)

    assert failed["error"]["code"] in (
        "garmin_unavailable",
        "garmin_unreachable",
        "timed_out",
    )
    assert garmin.count("credential_posts") == 1
