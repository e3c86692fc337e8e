"""What the API writes to its log, with everything turned on."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from dev.servers import RedisServer
from shared.job_states import Success
from tests.api.service import CODE, LOGIN, Job, Service, bearer, running, settings

EVERYTHING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"all": {"class": "logging.StreamHandler"}},
    "root": {"level": 1, "handlers": ["all"]},
    "loggers": {name: {"level": 5} for name in ("uvicorn.error", "uvicorn.asgi", "uvicorn.access")},
}


@pytest.fixture
def talkative(tmp_path: Path, redis_server: RedisServer, real_redis_url: str) -> Iterator[Service]:
    """An API whose every library logs everything it can."""
    config = tmp_path / "logging.json"
    config.write_text(json.dumps(EVERYTHING))
    uvicorn = {"UVICORN_LOG_LEVEL": "trace", "UVICORN_LOG_CONFIG": str(config)}
    with running(tmp_path, settings(real_redis_url, tmp_path) | uvicorn) as service:
        yield service


def use_everything(service: Service) -> list[str]:
    """Makes requests of every kind. Returns every secret that went in or came out."""
    client = service.client
    typed = {"username": "canary.user@example.com", "password": "canary-password"}
    job = service.submit(typed)
    service.poll(job)
    service.poll(Job(job.job_id, "canary-wrong-poll-token"))
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
    service.redis.hset(f"fittrack:job:{code_job['job_id']}", "stage", "canary-bug")
    assert service.poll(Job(code_job["job_id"], code_job["poll_token"])).status_code == 500
    tokens = [job.poll_token, code_job["poll_token"], challenge_id, account.access_token]
    return ["canary", *tokens]


def test_the_log_holds_no_secret_at_any_level(talkative: Service) -> None:
    keys = talkative.stack.settings["FITTRACK_ENCRYPTION_KEYS"].partition(":")[2]
    secrets = [*use_everything(talkative), keys]
    talkative.stack.stop()
    log = talkative.api.output()
    assert "ASGI [" in log  # uvicorn's trace messages
    assert "Using selector" in log  # other loggers' debug messages
    assert re.search(r'"POST /api/garmin/login HTTP/1.1" 202', log)
    assert "bug: ValueError" in log
    assert [secret for secret in secrets if secret in log] == []
