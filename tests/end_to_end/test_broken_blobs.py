"""What is sealed in Redis and does not open any more: a key was dropped, or a blob was moved.

The client sees a clean failure, and Garmin is not asked with what can't be read.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis

from dev.simulator import Simulator
from dev.simulator.accounts import PASSWORD
from dev.stack import Stack, new_key
from shared.accounts.clients import ClientRepository
from shared.crypto.tokens import token_hash
from shared.database.engine import Database
from tests.end_to_end.client import Client, Json
from tests.end_to_end.database import rows

KEYS = "FITTRACK_ENCRYPTION_KEYS"
PROFILE = "/userprofile-service/socialProfile"
NOTHING = {"users": 0, "garmin_tokens": 0, "user_sessions": 0}


@pytest.fixture
def redis(own_stack: Stack) -> Iterator[Redis]:
    with Redis.from_url(own_stack.settings["FITTRACK_REDIS_URL"]) as redis:
        yield redis


@pytest.fixture
def submitted_to(own_stack: Stack, own_client: Client) -> Client:
    """A client of a service that takes jobs and has no worker yet."""
    own_stack.begin_api().wait_ready()
    return own_client


def restart_with(stack: Stack, keys: str) -> None:
    """API and one worker, over the same Redis and database, with these keys."""
    for process in (*stack.apis, *stack.workers):
        process.stop()
    stack.settings[KEYS] = keys
    for process in (stack.begin_api(), stack.begin_worker()):
        process.wait_ready()


def assert_internal_error(ended: Json) -> None:
    assert ended["status"] == "failed", ended
    assert ended["error"]["code"] == "internal_error"
    assert ended["success"] is False
    assert "access_token" not in ended


def send_code(client: Client, asked: Json, code: str) -> tuple[int, str]:
    body = {"challenge_id": asked["mfa_challenge_id"], "mfa_code": code}
    answer = client.http.post("/api/garmin/login/mfa-complete", json=body)
    return answer.status_code, answer.json().get("code", "")


def job_key(job: Json) -> str:
    return f"fittrack:job:{job['job_id']}"


def challenge_key(asked: Json) -> str:
    return f"fittrack:challenge:{token_hash(asked['mfa_challenge_id'])}"


def copy_field(redis: Redis, name: str, source: str, target: str) -> None:
    blob = redis.hget(source, name)
    assert isinstance(blob, bytes)
    redis.hset(target, name, blob)


def test_data_sealed_with_a_dropped_key_fails_cleanly_without_asking_garmin(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    client = own_client
    own_stack.start()
    ended = client.submit_login("plain-ada@example.com")
    assert client.wait(ended)["status"] == "succeeded"
    asked = client.login("email-ben@example.com")
    asked_too = client.login("email-cid@example.com")
    own_stack.workers[0].stop()
    queued = client.submit_login("plain-dot@example.com")
    queued_code = client.submit_code(
        asked_too["mfa_challenge_id"], garmin.code("email-cid@example.com")
    )
    requests = garmin.count("requests")

    restart_with(own_stack, new_key("other"))

    assert_internal_error(client.poll(ended).json())
    assert_internal_error(client.wait(queued))
    assert_internal_error(client.wait(queued_code))
    assert send_code(client, asked, "123456") == (404, "challenge_not_found")
    assert garmin.count("requests") == requests
    assert client.login("plain-eve@example.com")["status"] == "succeeded"


def test_data_sealed_with_a_retired_key_still_opens(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    client = own_client
    own_stack.start()
    ended = client.submit_login("plain-ada@example.com")
    succeeded = client.wait(ended)
    asked = client.login("email-ben@example.com")
    own_stack.workers[0].stop()
    queued = client.submit_login("plain-dot@example.com")

    restart_with(own_stack, f"{new_key('other')},{own_stack.settings[KEYS]}")

    assert client.poll(ended).json()["access_token"] == succeeded["access_token"]
    assert client.wait(queued)["status"] == "succeeded"
    signed_in = client.send_code(asked, garmin.code("email-ben@example.com"))
    assert signed_in["status"] == "succeeded", signed_in
    assert garmin.count("codes_sent") == 1


def test_tokens_sealed_with_a_dropped_key_are_not_stored(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    with held_at_the_profile(own_stack, own_client, garmin, "plain-fay@example.com") as job:
        restart_with(own_stack, new_key("other"))

        assert_internal_error(own_client.wait(job))
    assert garmin.count("credential_posts") == 1
    assert rows(own_stack.settings["FITTRACK_DATABASE_URL"]) == NOTHING


def test_a_challenge_with_the_state_of_another_takes_no_code(
    own_stack: Stack, own_client: Client, garmin: Simulator, redis: Redis
) -> None:
    client = own_client
    own_stack.start()
    mine, other = (client.login(f"email-{name}@example.com") for name in ("gil", "hana"))
    copy_field(redis, "pending", challenge_key(other), challenge_key(mine))

    code = garmin.code("email-hana@example.com")
    assert send_code(client, mine, code) == (404, "challenge_not_found")
    assert garmin.count("codes_checked") == 0

    signed_in = client.send_code(other, code)
    assert signed_in["user"]["display_name"] == "Email Hana"


def test_a_challenge_swapped_while_its_code_waits_takes_no_code(
    own_stack: Stack, own_client: Client, garmin: Simulator, redis: Redis
) -> None:
    client = own_client
    own_stack.start()
    mine, other = (client.login(f"email-{name}@example.com") for name in ("gil", "hana"))
    own_stack.workers[0].stop()
    job = client.submit_code(mine["mfa_challenge_id"], garmin.code("email-hana@example.com"))
    copy_field(redis, "pending", challenge_key(other), challenge_key(mine))
    own_stack.begin_worker().wait_ready()

    ended = client.wait(job)

    assert ended["error"]["code"] == "timed_out", ended  # as if the challenge had run out
    assert garmin.count("codes_checked") == 0
    signed_in = client.send_code(other, garmin.code("email-hana@example.com"))
    assert signed_in["status"] == "succeeded", signed_in


def test_credentials_moved_to_another_job_are_not_used(
    own_stack: Stack, submitted_to: Client, garmin: Simulator, redis: Redis
) -> None:
    client = submitted_to
    mine = client.submit_login("plain-ian@example.com")
    other = client.submit_login("plain-joy@example.com")
    stolen = redis.get(f"{job_key(other)}:input")
    assert isinstance(stolen, bytes)
    redis.set(f"{job_key(mine)}:input", stolen, ex=600)
    own_stack.begin_worker().wait_ready()

    assert_internal_error(client.wait(mine))
    assert client.wait(other)["status"] == "succeeded"
    assert garmin.count("credential_posts") == 1


def test_an_outcome_moved_to_another_job_is_not_returned(
    own_stack: Stack, own_client: Client, redis: Redis
) -> None:
    client = own_client
    own_stack.start()
    mine = client.submit_login("wrongpassword-kit@example.com")
    other = client.submit_login("plain-lou@example.com")
    assert client.wait(mine)["error"]["code"] == "invalid_credentials"
    assert client.wait(other)["status"] == "succeeded"
    for name in ("outcome", "status"):
        copy_field(redis, name, job_key(other), job_key(mine))

    assert_internal_error(client.poll(mine).json())


def test_tokens_moved_to_another_job_open_no_session(
    own_stack: Stack, own_client: Client, garmin: Simulator, redis: Redis
) -> None:
    client = own_client
    with held_at_the_profile(own_stack, client, garmin, "plain-mo@example.com") as other:
        mine = client.submit_login("plain-ned@example.com")
        copy_field(redis, "progress", job_key(other), job_key(mine))
        own_stack.begin_worker().wait_ready()

        assert_internal_error(client.wait(mine))
        assert client.wait(other)["user"]["display_name"] == "Plain Mo"
    assert garmin.count("credential_posts") == 1


def test_a_sign_in_moved_to_another_person_of_an_app_connects_nobody(
    own_stack: Stack, submitted_to: Client, garmin: Simulator, redis: Redis
) -> None:
    database = Database(own_stack.settings["FITTRACK_DATABASE_URL"])
    _, key = database.run(lambda session: ClientRepository(session).add("app"))
    database.close()
    client, app = submitted_to, {"X-Client-Key": key}
    body = {"username": "plain-qi@example.com", "password": PASSWORD, "user_id": "member-1"}
    job = client.http.post("/api/garmin/login", json=body, headers=app).json()
    origin = redis.hget(job_key(job), "origin")
    assert isinstance(origin, bytes)
    redis.hset(job_key(job), "origin", origin.replace(b"member-1", b"member-2"))
    own_stack.begin_worker().wait_ready()

    assert_internal_error(client.wait(job))
    assert garmin.count("credential_posts") == 0
    for member in ("member-1", "member-2"):
        link = client.http.get(f"/api/users/{member}/garmin", headers=app)
        assert link.status_code == 404


@contextmanager
def held_at_the_profile(
    stack: Stack, client: Client, garmin: Simulator, username: str
) -> Iterator[Json]:
    """A job whose tokens are sealed in it, and whose worker is gone; Garmin is well again."""
    stack.start()
    garmin.configure(latency_by_path={PROFILE: 300_000})
    job = client.submit_login(username)
    client.wait_for_stage(job, "reading_profile")
    stack.workers[0].kill()
    garmin.configure(latency_by_path={})
    yield job


def test_a_job_that_waited_too_long_is_not_run(
    own_stack: Stack, submitted_to: Client, garmin: Simulator, redis: Redis
) -> None:
    client = submitted_to
    late = client.submit_login("plain-oz@example.com")
    for key in redis.scan_iter(f"{job_key(late)}*"):
        redis.pexpire(key, 0)  # as if FITTRACK_JOB_TTL were over
    assert client.poll(late).status_code == 404
    assert redis.llen("fittrack:celery:login") == 1  # its message is still there
    own_stack.begin_worker().wait_ready()

    assert client.login("plain-pam@example.com")["status"] == "succeeded"
    assert client.poll(late).status_code == 404
    assert redis.llen("fittrack:celery:login") == 0
    assert garmin.count("credential_posts") == 1
    assert garmin.count("credential_posts", "plain-oz@example.com") == 0
