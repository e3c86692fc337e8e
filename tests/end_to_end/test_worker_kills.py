"""Workers that are killed at the worst moment, and those that are asked to go.

The simulated Garmin counts: no password, code or ticket is used twice because of us, and no job is
run by two workers at once.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from redis import Redis

from dev.processes import Process
from dev.simulator import Simulator
from dev.stack import Stack
from tests.end_to_end.client import Client, Json
from tests.end_to_end.database import (
    locked,
    rows,
    wait_for_rows,
    wait_for_someone_locked_out,
)
from tests.programs import TIMINGS

PROFILE = "/userprofile-service/socialProfile"
VERIFY = "/mobile/api/mfa/verifyCode"
LOGIN = "/mobile/api/login"
FOR_EVER_MS = 300_000
ONE_OF_EACH = {"users": 1, "garmin_tokens": 1, "user_sessions": 1}
both_kinds = pytest.mark.parametrize(
    "username", ["plain-abby@example.com", "email-abby@example.com"]
)


def last_job(client: Client, garmin: Simulator, username: str) -> Json:
    """Submits what leads to tokens: the login itself, or the code that it asked for."""
    if username.startswith("plain"):
        return client.submit_login(username)
    asked = client.login(username)
    assert asked["status"] == "mfa_required", asked
    return client.submit_code(asked["mfa_challenge_id"], garmin.code(username))


def assert_asked_once(garmin: Simulator, username: str) -> None:
    codes = int(not username.startswith("plain"))
    assert garmin.count("credential_posts", username) == 1
    assert garmin.count("codes_sent", username) == codes
    assert garmin.count("codes_checked", username) == codes
    assert garmin.count("tickets_redeemed", username) == 1


def eventually(condition: Callable[[], object]) -> None:
    ends_at = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < ends_at, "waited in vain"
        time.sleep(0.05)


def database(stack: Stack) -> str:
    return stack.settings["FITTRACK_DATABASE_URL"]


@both_kinds
def test_once_garmin_has_issued_tokens_another_worker_needs_no_password_or_code(
    own_stack: Stack, own_client: Client, garmin: Simulator, username: str
) -> None:
    own_stack.start(workers=1)
    garmin.configure(latency_by_path={PROFILE: FOR_EVER_MS})
    job = last_job(own_client, garmin, username)
    own_client.wait_for_stage(job, "reading_profile")
    eventually(lambda: garmin.count("profiles", username))
    own_stack.workers[0].kill()
    assert rows(database(own_stack)) == dict.fromkeys(ONE_OF_EACH, 0)
    assert own_client.poll(job).json()["status"] == "running"
    garmin.configure(latency_by_path={})
    own_stack.begin_worker().wait_ready()

    signed_in = own_client.wait(job)

    assert signed_in["status"] == "succeeded", signed_in
    assert own_client.session(signed_in)["garmin"]["linked"] is True
    assert_asked_once(garmin, username)
    assert rows(database(own_stack)) == ONE_OF_EACH


@pytest.mark.parametrize("table", ["users", "garmin_tokens", "user_sessions"])
def test_a_worker_killed_in_the_transaction_leaves_nothing_half_stored(
    own_stack: Stack, own_client: Client, garmin: Simulator, table: str
) -> None:
    username = "email-bess@example.com"
    own_stack.start(workers=1)
    with locked(database(own_stack), table):
        job = last_job(own_client, garmin, username)
        own_client.wait_for_stage(job, "storing")
        wait_for_someone_locked_out(database(own_stack))
        own_stack.workers[0].kill()
    assert own_client.poll(job).json()["stage"] == "storing"
    own_stack.begin_worker().wait_ready()

    signed_in = own_client.wait(job)

    assert signed_in["status"] == "succeeded", signed_in
    assert own_client.session(signed_in)["session_id"] == signed_in["session_id"]
    assert_asked_once(garmin, username)
    assert garmin.count("profiles", username) == 1
    assert rows(database(own_stack)) == ONE_OF_EACH


def test_a_worker_killed_between_the_database_and_the_jobs_end_stores_nothing_twice(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    username = "email-cora@example.com"
    own_stack.start(workers=1)
    with Redis.from_url(own_stack.settings["FITTRACK_REDIS_URL"]) as redis:
        with read_only(redis) as begin:
            with locked(database(own_stack), "garmin_tokens"):
                job = last_job(own_client, garmin, username)
                own_client.wait_for_stage(job, "storing")
                wait_for_someone_locked_out(database(own_stack))
                begin()
            wait_for_rows(database(own_stack), ONE_OF_EACH)
            own_stack.workers[0].kill()
        assert own_client.poll(job).json()["stage"] == "storing"
    own_stack.begin_worker().wait_ready()

    signed_in = own_client.wait(job)

    assert signed_in["status"] == "succeeded", signed_in
    assert own_client.session(signed_in)["session_id"] == signed_in["session_id"]
    assert_asked_once(garmin, username)
    assert rows(database(own_stack)) == ONE_OF_EACH


@contextmanager
def read_only(redis: Redis) -> Iterator[Callable[[], object]]:
    """Whoever writes to this Redis waits, from the call until the block ends."""
    try:
        yield lambda: redis.client_pause(FOR_EVER_MS, all=False)
    finally:
        redis.client_unpause()


def test_jobs_at_every_stage_survive_the_loss_of_all_workers(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    """With jobs at every stage: two that wait for the profile, two codes, logins, and a queue."""
    client = own_client
    api = own_stack.begin_api()
    # Of one thread none is kept for codes: all six are busy.
    workers = [own_stack.begin_worker("-c", "1") for _ in range(6)]
    for process in (api, *workers):
        process.wait_ready()
    codes = {name: client.login(name) for name in people("email", 2)}
    garmin.configure(
        latency_by_path=dict.fromkeys((PROFILE, VERIFY, LOGIN), FOR_EVER_MS),
    )
    checking = {
        name: client.submit_code(asked["mfa_challenge_id"], garmin.code(name))
        for name, asked in codes.items()
    }
    for job in checking.values():
        client.wait_for_stage(job, "checking_code")
    eventually(lambda: garmin.count("codes_checked") == 2)
    garmin.configure(latency_by_path={PROFILE: FOR_EVER_MS, LOGIN: FOR_EVER_MS, VERIFY: 0})
    running = {name: client.submit_login(name) for name in people("plain", 4)}
    for job in running.values():
        client.wait_for_stage(job, "contacting_garmin")
    eventually(lambda: garmin.count("credential_posts") == 6)
    queued = {name: client.submit_login(name) for name in people("plain-queued", 4)}

    for worker in own_stack.workers:
        worker.kill()
    garmin.configure(latency_by_path={})
    time.sleep(max(TIMINGS.lease, TIMINGS.visibility_timeout) + 2)
    for job in (*checking.values(), *running.values()):
        assert client.poll(job).json()["status"] == "running"
    for job in queued.values():
        assert client.poll(job).json()["status"] == "queued"
    own_stack.begin_worker().wait_ready()

    for name, job in running.items():
        assert client.wait(job)["status"] == "succeeded"
        assert garmin.count("credential_posts", name) == 2  # whether it counted can't be known
    for name, job in queued.items():
        assert client.wait(job)["status"] == "succeeded"
        assert garmin.count("credential_posts", name) == 1
    for name, job in checking.items():
        # Garmin has seen the code, and its answer went with the worker.
        assert client.wait(job)["error"]["code"] == "interrupted"
        assert garmin.count("credential_posts", name) == garmin.count("codes_sent", name) == 1
    assert rows(database(own_stack)) == dict.fromkeys(ONE_OF_EACH, 8)


def test_a_worker_that_shuts_down_finishes_its_jobs_and_takes_no_new_ones(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    client = own_client
    own_stack.start(workers=2)
    leaving, staying = own_stack.workers
    garmin.configure(latency_by_path={LOGIN: 750 * TIMINGS.garmin_answer})
    jobs: dict[str, Json] = {}
    while not (received(leaving, jobs) and received(staying, jobs)):
        name = f"plain-leaving-{len(jobs)}@example.com"
        jobs[name] = client.submit_login(name)
        client.wait_for_stage(jobs[name], "contacting_garmin")
    leaving.signal(signal.SIGTERM)
    eventually(lambda: "Warm shutdown" in leaving.output())
    garmin.configure(latency_by_path={})

    new = {name: client.submit_login(name) for name in people("plain-new", 12)}
    everyone = {**jobs, **new}
    for name, job in everyone.items():
        assert client.wait(job)["status"] == "succeeded"
        assert garmin.count("credential_posts", name) == 1
    assert leaving.wait(120) == 0
    assert finished(leaving, everyone) == received(leaving, everyone)
    # One it may have asked the broker for before it was told to go: it does that one too.
    assert len(received(leaving, new)) <= 1
    assert received(staying, new) == set(new) - received(leaving, new)


def received(worker: Process, jobs: dict[str, Json]) -> set[str]:
    """Whose jobs this worker took."""
    log = worker.output()
    return {name for name, job in jobs.items() if f"[{job['job_id']}] received" in log}


def finished(worker: Process, jobs: dict[str, Json]) -> set[str]:
    log = worker.output()
    return {name for name, job in jobs.items() if f"[{job['job_id']}] succeeded" in log}


def people(kind: str, how_many: int) -> list[str]:
    return [f"{kind}-{number}@example.com" for number in range(how_many)]
