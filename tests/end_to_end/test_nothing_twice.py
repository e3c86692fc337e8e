"""What Garmin has answered is not asked again, whatever happens to Redis meanwhile.

The simulated Garmin counts passwords, codes sent and codes checked.
"""

import time
from collections.abc import Callable

import pytest
from redis import Redis
from sqlalchemy import create_engine, text

from dev.servers import RedisServer
from dev.simulator import Simulator
from dev.stack import Stack
from tests.end_to_end.client import Client, Json
from tests.end_to_end.database import rows
from tests.programs import TIMINGS

LOGIN = "/mobile/api/login"
VERIFY = "/mobile/api/mfa/verifyCode"
ANSWER_MS = 3000
SYNCED = 1.5
"""The append-only file is synced every second."""


@pytest.fixture
def stack(frail_stack: Stack) -> Stack:
    """In the place of the one that runs for all tests."""
    return frail_stack


def eventually(condition: Callable[[], object]) -> None:
    ends_at = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < ends_at, "waited in vain"
        time.sleep(0.05)


def restarted(server: RedisServer) -> RedisServer:
    return RedisServer(server.folder, server.port).wait_ready()


LONGER_THAN_PATIENCE = TIMINGS.redis_patience_worker + 2


@pytest.mark.parametrize(
    ("username", "ended", "codes"),
    [("plain-ada@example.com", "succeeded", 0), ("email-ada@example.com", "mfa_required", 1)],
)
def test_an_answer_to_a_password_outlives_an_outage_of_redis(
    client: Client,
    own_redis: RedisServer,
    garmin: Simulator,
    username: str,
    ended: str,
    codes: int,
) -> None:
    garmin.configure(latency_by_path={LOGIN: ANSWER_MS})
    job = client.submit_login(username)
    eventually(lambda: garmin.count("credential_posts"))
    time.sleep(SYNCED)
    own_redis.kill()
    time.sleep(ANSWER_MS / 1000 + LONGER_THAN_PATIENCE)
    with restarted(own_redis):
        assert result(client.wait(job)) == ended
        let_everything_come_back()
    assert garmin.count("credential_posts") == 1
    assert garmin.count("codes_sent") == codes


def test_an_answer_to_a_code_outlives_an_outage_of_redis(
    client: Client, own_redis: RedisServer, garmin: Simulator
) -> None:
    username = "email-wrongcode-bo@example.com"
    asked = client.login(username)
    garmin.configure(latency_by_path={VERIFY: ANSWER_MS})
    job = client.submit_code(asked["mfa_challenge_id"], garmin.code(username))
    eventually(lambda: garmin.count("codes_checked"))
    time.sleep(SYNCED)
    own_redis.kill()
    time.sleep(ANSWER_MS / 1000 + LONGER_THAN_PATIENCE)
    with restarted(own_redis):
        ended = client.wait(job)
        let_everything_come_back()
    assert result(ended) == "mfa_code_invalid"
    assert ended["attempts_left"] == 2
    assert garmin.count("codes_checked") == 1
    assert garmin.count("credential_posts") == garmin.count("codes_sent") == 1


def test_a_worker_that_dies_with_an_answer_while_redis_is_away_has_marked_the_job(
    stack: Stack, client: Client, own_redis: RedisServer, garmin: Simulator
) -> None:
    garmin.configure(latency_by_path={LOGIN: ANSWER_MS})
    job = client.submit_login("email-cy@example.com")
    eventually(lambda: garmin.count("credential_posts"))
    time.sleep(SYNCED)
    own_redis.kill()
    time.sleep(ANSWER_MS / 1000 + 2 * LONGER_THAN_PATIENCE)
    stack.workers[0].kill()
    with restarted(own_redis):
        stack.begin_worker().wait_ready()
        assert result(client.wait(job)) == "interrupted"
    assert garmin.count("credential_posts") == garmin.count("codes_sent") == 1


# A Redis that was restored to what it was some seconds ago


@pytest.mark.parametrize(
    ("username", "ended", "taken"),
    [
        ("plain-dee@example.com", "succeeded", "queued"),
        ("plain-dee@example.com", "succeeded", "running"),
        ("email-dee@example.com", "mfa_required", "running"),
        ("wrongpassword-dee@example.com", "invalid_credentials", "running"),
    ],
)
def test_a_sign_in_that_redis_has_forgotten_is_not_run_again(
    own_stack: Stack,
    own_client: Client,
    garmin: Simulator,
    username: str,
    ended: str,
    taken: str,
) -> None:
    own_stack.begin_api().wait_ready()
    garmin.configure(latency_by_path={LOGIN: 1000})
    job = own_client.submit_login(username)
    before = snapshot(own_stack)
    worker = own_stack.begin_worker().wait_ready()
    eventually(lambda: garmin.count("credential_posts"))
    if taken == "running":
        before = snapshot(own_stack)
    assert result(own_client.wait(job)) == ended
    eventually(lambda: is_marked(own_stack, job))
    worker.kill()
    stored = rows(own_stack.settings["FITTRACK_DATABASE_URL"])
    restore(own_stack, before)
    own_stack.begin_worker().wait_ready()

    assert result(own_client.wait(job)) == "interrupted"
    assert garmin.count("credential_posts") == 1
    assert garmin.count("codes_sent") == int(ended == "mfa_required")
    assert rows(own_stack.settings["FITTRACK_DATABASE_URL"]) == stored


def test_a_code_that_redis_has_forgotten_is_not_checked_again(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    own_stack.start()
    username = "email-wrongcode-eva@example.com"
    asked = own_client.login(username)
    own_stack.workers[0].kill()
    job = own_client.submit_code(asked["mfa_challenge_id"], garmin.code(username))
    before = snapshot(own_stack)
    worker = own_stack.begin_worker().wait_ready()
    assert result(own_client.wait(job)) == "mfa_code_invalid"
    eventually(lambda: is_marked(own_stack, job))
    worker.kill()
    restore(own_stack, before)
    own_stack.begin_worker().wait_ready()

    assert result(own_client.wait(job)) == "interrupted"
    assert garmin.count("codes_checked") == 1


def is_marked(stack: Stack, job: Json) -> bool:
    """Whether the job's end is marked: a moment after it, or a second if the worker dies."""
    mark = text("SELECT state FROM job_marks WHERE job_id = :id")
    engine = create_engine(stack.settings["FITTRACK_DATABASE_URL"])
    with engine.connect() as connection:
        state = connection.execute(mark, {"id": job["job_id"]}).scalar_one_or_none()
    engine.dispose()
    return state == "ended"


def snapshot(stack: Stack) -> dict[bytes, bytes]:
    """Everything in Redis, the broker's messages included."""
    with Redis.from_url(stack.settings["FITTRACK_REDIS_URL"]) as redis:
        return {key: redis.dump(key) for key in redis.scan_iter()}


def restore(stack: Stack, state: dict[bytes, bytes]) -> None:
    """Put it back in the place of everything that has come since."""
    with Redis.from_url(stack.settings["FITTRACK_REDIS_URL"]) as redis:
        redis.flushall()
        for key, value in state.items():
            redis.restore(key, 300_000, value, replace=True)  # the API renews its mark
        for key in redis.scan_iter("fittrack:job:*:lease"):
            redis.delete(key)  # its time has run out


def result(ended: Json) -> str:
    """Its status, or the code of its error."""
    return str(ended["error"]["code"] if ended["status"] == "failed" else ended["status"])


def let_everything_come_back() -> None:
    """Give messages of jobs that count as unfinished the time to be delivered again."""
    time.sleep(TIMINGS.visibility_timeout + TIMINGS.redelivery_interval + 2)
