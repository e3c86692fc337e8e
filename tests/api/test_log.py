"""What the API writes to its log, with everything turned on."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from shared.jobs.states import Success
from tests.api.service import CODE, LOGIN, Job, Service, bearer, eventually, running, settings
from tests.logs import parsed


@pytest.fixture
def talkative(tmp_path: Path, real_redis_url: str) -> Iterator[Service]:
    """An API whose every library logs everything it can."""
    values = settings(real_redis_url, tmp_path, FITTRACK_LOG_LEVEL="DEBUG")
    with running(tmp_path, values | {"UVICORN_LOG_LEVEL": "trace"}) as service:
        yield service


def use_everything(service: Service) -> list[str]:
    """Makes requests of every kind. Returns every secret that went in or came out."""
    client = service.client
    typed = {"username": "canary.user@example.com", "password": "canary-password"}
    job = service.submit(typed)
    service.poll(job)
    service.poll(Job(job.job_id, "canary-wrong-poll-token"))
    client.get(f"{job.path}?poll_token=canary-query&canary", headers=job.headers)
    client.get("/healthz", headers={"Cookie": "canary-cookie", "X-Request-Id": "canary!"})
    access_token = "canary-access-token"
    success = Success(
        session_id=str(uuid4()),
        access_token=SecretStr(access_token),
        session_expires_at=datetime.now(UTC) + timedelta(hours=1),
        user_id=str(uuid4()),
        display_name="x",
    )
    service.jobs.end(service.claim(job), success)
    assert service.poll(job, wait=1).json()["access_token"] == access_token
    challenge_id = service.ask_for_code().challenge_id.get_secret_value()
    code_job = service.send_code(challenge_id, "canarycode").json()
    service.send_code(challenge_id, "canary2")
    service.send_code("canary-unknown-challenge", "canary3")
    client.post(LOGIN, json=typed | {"canary-field": "canary-value", "domain": "canary-domain"})
    client.post(CODE, json={"challenge_id": ["canary-list"], "mfa_code": "canary-\0"})
    client.post(LOGIN, content='{"canary-broken', headers={"Content-Type": "application/json"})
    account = service.sign_in()
    for method, path in (
        ("GET", "/api/session"),
        ("DELETE", "/api/sessions"),
        ("GET", "/api/session"),
    ):
        client.request(method, path, headers=account.headers)
    client.get("/api/session", headers=bearer("canary-wrong-access-token"))
    client.get(f"/api/jobs/{account.access_token}", headers=account.headers)  # pasted amiss
    broken = Job(code_job["job_id"], code_job["poll_token"])
    service.end_with_a_bug(broken, "canary-bug")
    assert service.poll(broken).status_code == 500
    tokens = [job.poll_token, code_job["poll_token"], challenge_id, account.access_token]
    return ["canary", *tokens]


def test_the_log_holds_no_secret_at_any_level(talkative: Service) -> None:
    keys = talkative.stack.settings["FITTRACK_ENCRYPTION_KEYS"].partition(":")[2]
    secrets = [*use_everything(talkative), keys]
    talkative.stack.stop()
    log = talkative.api.output()
    lines = parsed(log)
    assert "ASGI [" in log  # uvicorn's trace messages
    assert ("redis.connection", "debug") in {(line["logger"], line["level"]) for line in lines}
    assert [secret for secret in secrets if secret in log] == []

    bugs = [line for line in lines if line["event"].startswith("bug: TypeError at ")]
    [access] = [line for line in of_access(lines) if '" 500' in line["event"]]
    assert len(bugs) == 1
    assert bugs[0]["level"] == "error"
    assert bugs[0]["request_id"] == access["request_id"]
    assert bugs[0]["job_id"] == access["job_id"]


def of_access(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["logger"] == "uvicorn.access"]


def of_request(service: Service, request_id: str) -> dict[str, Any]:
    """The access line of one request, which is written beside its reply."""

    def lines() -> list[dict[str, Any]]:
        whole, _, _ = service.api.output().rpartition("\n")
        access = of_access(parsed(whole))
        return [line for line in access if line["request_id"] == request_id]

    eventually(lambda: len(lines()) == 1)
    return lines()[0]


def test_a_valid_request_id_is_logged_and_returned(service: Service) -> None:
    for sent in ("a", f"Its.own-{uuid4()}", "x" * 21 + "." + "y" * 42):
        reply = service.client.get("/healthz?wait=hidden", headers={"X-Request-Id": sent})
        assert reply.headers["X-Request-Id"] == sent
        line = of_request(service, sent)
        assert re.fullmatch(
            r'127\.0\.0\.1:\d+ - "GET /healthz\?\*\*\* HTTP/1\.1" 200', line["event"]
        )
        assert "job_id" not in line


@pytest.mark.parametrize(
    "sent", [None, "", "x" * 65, "x" * 43, "two words", "a\tb", "ümlaut", '"', "a,b"]
)
def test_a_request_without_a_valid_id_gets_a_new_one(service: Service, sent: str | None) -> None:
    headers = {} if sent is None else {b"X-Request-Id": sent.encode()}
    ids = [service.client.get("/healthz", headers=headers).headers["X-Request-Id"] for _ in "ab"]
    assert len({UUID(one) for one in ids}) == 2
    for one in ids:
        of_request(service, one)


def test_every_response_has_one_request_id(service: Service) -> None:
    job = service.submit()
    replies = [
        service.client.get("/nowhere"),
        service.client.put(LOGIN),
        service.client.post(LOGIN, content="x" * 20_000),
        service.poll(Job(job.job_id, "wrong")),
    ]
    service.end_with_a_bug(job, "unheard-of")
    replies.append(service.poll(job))
    assert {reply.status_code for reply in replies} >= {404, 405, 500}
    for reply in replies:
        assert len(reply.headers.get_list("X-Request-Id")) == 1


def test_only_log_lines_about_a_job_have_its_id(service: Service) -> None:
    """Over one connection, one request after the other."""
    challenge_id = service.ask_for_code().challenge_id.get_secret_value()
    submitted = service.client.post(
        LOGIN,
        json={"username": "runner@example.com", "password": "x"},
        headers={"X-Request-Id": "1"},
    )
    coded = service.send_code(challenge_id)
    job = Job(submitted.json()["job_id"], submitted.json()["poll_token"])
    polled, elsewhere = service.poll(job), service.client.get("/healthz")
    unknown = service.client.get("/api/jobs/no-uuid", headers=job.headers)

    def about(reply: Any) -> str | None:  # noqa: ANN401
        bound: str | None = of_request(service, reply.headers["X-Request-Id"]).get("job_id")
        return bound

    assert about(submitted) == job.job_id
    assert about(coded) == coded.json()["job_id"]
    assert about(polled) == job.job_id
    assert about(elsewhere) is None
    assert about(unknown) is None


def test_the_console_format_is_readable(tmp_path: Path, real_redis_url: str) -> None:
    values = settings(
        real_redis_url, tmp_path, FITTRACK_LOG_FORMAT="console", FITTRACK_LOG_LEVEL="WARNING"
    )
    with running(tmp_path, values) as service:
        job = service.submit()
        service.end_with_a_bug(job, "unheard-of")
        reply = service.poll(job)
        service.stack.stop()
    [line] = service.api.output().splitlines()
    assert re.search(r"\[error +\] bug: TypeError at .*\[api\.http\.middleware\]", line)
    assert f"request_id={reply.headers['X-Request-Id']}" in line
    assert f"job_id={job.job_id}" in line
