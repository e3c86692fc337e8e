"""Workers and messages that get lost half-way."""

import signal
import time

from redis import Redis

from dev.simulator import Simulator
from dev.stack import Stack
from tests.end_to_end.client import Client, Json
from tests.end_to_end.database import locked
from tests.programs import TIMINGS


def test_a_code_is_checked_by_another_worker_than_the_password(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    own_stack.start(workers=1)
    client = own_client
    asked = client.login("email-nora@example.com")
    own_stack.workers[0].kill()
    own_stack.begin_worker().wait_ready()

    signed_in = client.send_code(asked, garmin.code("email-nora@example.com"))

    assert signed_in["status"] == "succeeded", signed_in
    assert garmin.count("codes_sent") == 1
    assert garmin.count("credential_posts") == 1


def test_a_login_whose_worker_is_killed_is_run_again_once_by_another(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    own_stack.start(workers=1)
    client = own_client
    garmin.configure(latency_ms=4000)
    job = client.submit_login("plain-olga@example.com")
    contacting(client, job)
    own_stack.workers[0].kill()
    garmin.configure(latency_ms=0)
    own_stack.begin_worker().wait_ready()

    assert client.wait(job)["status"] == "succeeded"
    assert garmin.count("credential_posts") <= 2


def test_a_login_that_loses_every_worker_ends_as_interrupted(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    own_stack.start(workers=1)
    client = own_client
    garmin.configure(latency_ms=4000)
    job = client.submit_login("plain-pia@example.com")
    for _ in range(2):
        contacting(client, job)
        runs = runs_of(own_stack, job)
        own_stack.workers[-1].kill()
        own_stack.begin_worker().wait_ready()
        wait_for_another_run(own_stack, job, runs)

    ended = client.wait(job)

    assert ended["error"]["code"] == "interrupted", ended


def test_a_code_check_that_lost_its_worker_is_tried_again(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    own_stack.start(workers=1)
    client = own_client
    asked = client.login("email-quinn@example.com")
    garmin.configure(latency_ms=4000)
    job = client.submit_code(asked["mfa_challenge_id"], garmin.code("email-quinn@example.com"))
    client.wait_for_stage(job, "checking_code")
    own_stack.workers[0].kill()
    garmin.configure(latency_ms=0)
    own_stack.begin_worker().wait_ready()

    ended = client.wait(job)

    # Killed before Garmin saw the code it succeeds, killed after it can't be known.
    assert ended["status"] == "succeeded" or ended["error"]["code"] == "interrupted", ended
    assert garmin.count("codes_sent") == 1


def test_a_job_longer_than_the_visibility_timeout_is_run_by_one_worker_only(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    own_stack.start(workers=2)
    client = own_client
    garmin.configure(latency_ms=300 * TIMINGS.visibility_timeout)

    signed_in = client.login("plain-rosa@example.com")

    assert signed_in["status"] == "succeeded", signed_in
    assert garmin.count("credential_posts") == 1
    assert garmin.count("sign_in_pages") == 1


def test_a_warm_shutdown_finishes_running_jobs(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    own_stack.start(workers=1)
    client = own_client
    garmin.configure(latency_ms=1500)
    job = client.submit_login("plain-sam@example.com")
    contacting(client, job)

    own_stack.workers[0].signal(signal.SIGTERM)

    assert client.wait(job)["status"] == "succeeded"
    assert own_stack.workers[0].wait(60) == 0


def test_a_job_without_credentials_is_interrupted(own_stack: Stack, own_client: Client) -> None:
    own_stack.begin_api().wait_ready()
    client = own_client
    job = client.submit_login("plain-tom@example.com")
    with Redis.from_url(own_stack.settings["FITTRACK_REDIS_URL"]) as redis:
        assert redis.delete(f"fittrack:job:{job['job_id']}:input") == 1
    own_stack.begin_worker().wait_ready()

    assert client.wait(job)["error"]["code"] == "interrupted"


def test_a_message_without_a_job_is_dropped(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    own_stack.begin_api().wait_ready()
    client = own_client
    lost = client.submit_login("plain-uma@example.com")
    with Redis.from_url(own_stack.settings["FITTRACK_REDIS_URL"]) as redis:
        for key in redis.scan_iter(f"fittrack:job:{lost['job_id']}*"):
            redis.delete(key)
    own_stack.begin_worker().wait_ready()

    assert client.login("plain-vera@example.com")["status"] == "succeeded"
    assert client.poll(lost).status_code == 404
    assert garmin.count("credential_posts") == 1


def test_a_message_that_a_dead_worker_took_along_is_sent_again_though_nobody_polls(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    own_stack.begin_api().wait_ready()
    job = own_client.submit_login("plain-wim@example.com")
    with Redis.from_url(own_stack.settings["FITTRACK_REDIS_URL"]) as redis:
        assert redis.delete("fittrack:celery:login") == 1
        redis.zincrby("fittrack:jobs:open", -60_000, job["job_id"])
        own_stack.begin_worker().wait_ready()
        own_stack.begin_worker().wait_ready()  # two look for it

        wait_for_status(redis, job, b"succeeded")
    assert own_client.poll(job).json()["status"] == "succeeded"
    assert garmin.count("credential_posts") == 1
    sent_again = [w.output().count("was lost: sent again") for w in own_stack.workers]
    assert sum(sent_again) == 1


def test_a_job_that_waits_for_the_database_outlives_its_message(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    own_stack.start(workers=1)
    with Redis.from_url(own_stack.settings["FITTRACK_REDIS_URL"]) as redis:
        with locked(own_stack.settings["FITTRACK_DATABASE_URL"], "users"):
            job = own_client.submit_login("plain-xena@example.com")
            own_client.wait_for_stage(job, "storing")
            own_stack.workers[0].kill()
            redis.delete(
                *(f"fittrack:celery:{name}" for name in ("login", "unacked", "unacked_index"))
            )
        lease = f"fittrack:job:{job['job_id']}:lease"
        redis.delete(lease)  # as if it had run out
        redis.zincrby("fittrack:jobs:open", -60_000, job["job_id"])
        own_stack.begin_worker().wait_ready()

        wait_for_status(redis, job, b"succeeded")
    assert garmin.count("credential_posts") == 1


def wait_for_status(redis: Redis, job: Json, status: bytes) -> None:
    """Without polling: nobody may be there who does."""
    ends_at = time.monotonic() + 120
    while redis.hget(f"fittrack:job:{job['job_id']}", "status") != status:
        assert time.monotonic() < ends_at
        time.sleep(0.2)


def contacting(client: Client, job: Json) -> None:
    client.wait_for_stage(job, "contacting_garmin")


def runs_of(stack: Stack, job: Json) -> int:
    with Redis.from_url(stack.settings["FITTRACK_REDIS_URL"]) as redis:
        return int(redis.hget(f"fittrack:job:{job['job_id']}", "runs") or 0)


def wait_for_another_run(stack: Stack, job: Json, runs: int) -> None:
    ends_at = time.monotonic() + 120
    while runs_of(stack, job) <= runs:
        assert time.monotonic() < ends_at
        time.sleep(0.2)
