"""POST /api/garmin/login and /api/garmin/login/mfa-complete, when all is well."""

import json
import re
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.garmin.types import GarminDomain
from tests.api.service import CODE, CREDENTIALS, LOGIN, Job, Service

TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def assert_accepted(reply: httpx.Response) -> Job:
    assert reply.status_code == 202, reply.text
    body = reply.json()
    assert body.keys() == {"job_id", "status", "poll_token", "status_url", "expires_in"}
    assert str(UUID(body["job_id"])) == body["job_id"]
    assert TOKEN.fullmatch(body["poll_token"])
    assert body["status"] == "queued"
    assert body["status_url"] == f"/api/jobs/{body['job_id']}"
    assert body["expires_in"] == 900
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["location"] == body["status_url"]
    assert reply.headers["retry-after"] == "1"
    assert reply.headers["cache-control"] == "no-store"
    return Job(body["job_id"], body["poll_token"])


def message(service: Service, queue: str) -> dict[str, Any]:
    """The one message in a queue of the broker."""
    assert service.redis.llen(f"fittrack:celery:{queue}") == 1
    [raw] = service.redis.lrange(f"fittrack:celery:{queue}", 0, -1)
    loaded: dict[str, Any] = json.loads(raw)
    return loaded


def test_a_sign_in_is_accepted_and_can_be_polled(service: Service) -> None:
    job = assert_accepted(service.client.post(LOGIN, json=CREDENTIALS))
    assert service.poll(job).json()["status"] == "queued"
    assert service.poll(job).json()["kind"] == "login"


def test_a_code_is_accepted_and_can_be_polled(service: Service) -> None:
    challenge_id = service.ask_for_code().challenge_id.get_secret_value()
    job = assert_accepted(service.send_code(challenge_id))
    assert service.poll(job).json()["status"] == "queued"
    assert service.poll(job).json()["kind"] == "mfa_completion"


def test_the_worker_gets_the_submitted_credentials(service: Service) -> None:
    job = service.submit(CREDENTIALS | {"domain": "garmin.cn"})
    credentials = service.credentials_of(job)
    assert credentials.username.get_secret_value() == CREDENTIALS["username"]
    assert credentials.password.get_secret_value() == CREDENTIALS["password"]
    assert credentials.domain is GarminDomain.CN


def test_the_default_domain_is_garmin_com(service: Service) -> None:
    assert service.credentials_of(service.submit()).domain is GarminDomain.COM


def test_the_worker_gets_the_code_and_its_challenge(service: Service) -> None:
    challenge_id = service.ask_for_code().challenge_id.get_secret_value()
    job = assert_accepted(service.send_code(challenge_id, "87 65-43"))
    submission = service.code_of(job)
    assert submission.challenge_id.get_secret_value() == challenge_id
    assert submission.code.get_secret_value() == "876543"


@pytest.mark.parametrize(
    ("queue", "task"), [("login", "garmin.login"), ("mfa", "garmin.complete_mfa")]
)
def test_the_message_for_the_worker_contains_only_the_job_id(
    service: Service, queue: str, task: str
) -> None:
    challenge_id = service.ask_for_code().challenge_id.get_secret_value()
    job = service.submit() if queue == "login" else assert_accepted(service.send_code(challenge_id))
    sent = message(service, queue)
    assert sent["headers"]["task"] == task
    assert sent["headers"]["id"] == job.job_id
    assert sent["headers"]["argsrepr"] == f"['{job.job_id}']"


def test_nothing_that_was_typed_is_readable_in_redis(service: Service) -> None:
    submitted = {"username": "canary-user", "password": "canary-password"}
    job = service.submit(submitted)
    challenge_id = service.ask_for_code().challenge_id.get_secret_value()
    service.send_code(challenge_id, "4711cod")
    secrets = [*submitted.values(), job.poll_token, challenge_id, "4711cod"]
    dump = b"".join(key + (service.redis.dump(key) or b"") for key in service.redis.scan_iter("*"))
    assert job.job_id.encode() in dump
    assert [secret for secret in secrets if secret.encode() in dump] == []


def test_every_submission_creates_a_job(service: Service) -> None:
    first, second = service.submit(), service.submit()
    assert first.job_id != second.job_id
    assert first.poll_token != second.poll_token


def test_everything_a_job_keeps_in_redis_expires(service: Service) -> None:
    service.submit()
    assert len(service.kept()) == 3
    assert all(0 < service.redis.ttl(key) <= 900 for key in service.kept())


@pytest.mark.parametrize("path", [LOGIN, CODE])
@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON;charset=UTF-8"],
)
def test_the_json_content_type_is_case_insensitive(
    service: Service, path: str, content_type: str
) -> None:
    challenge_id = service.ask_for_code().challenge_id.get_secret_value()
    body = CREDENTIALS if path == LOGIN else {"challenge_id": challenge_id, "mfa_code": "123456"}
    reply = service.client.post(
        path, content=json.dumps(body), headers={"Content-Type": content_type}
    )
    assert_accepted(reply)
