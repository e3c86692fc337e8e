"""What workers and Flower write to their logs, with everything turned on."""

import re
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from dev.processes import Process, answers_on, clean_environment, free_port
from dev.simulator import Simulator
from dev.simulator.accounts import PASSWORD
from dev.stack import BIN, Stack
from shared.accounts.tokens import TokenRepository
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.jobs.challenges import ChallengeStore
from shared.redis.connection import Redis
from tests.end_to_end.client import Client, Json
from tests.logs import parsed

USERNAME = "email-zoe@example.com"


def started(stack: Stack, **settings: str) -> Process:
    """The stack, with one worker that logs everything it can."""
    stack.settings |= settings
    stack.begin_api().wait_ready()
    return stack.begin_worker("--loglevel", "DEBUG").wait_ready()


@pytest.mark.parametrize("driver", ["garth", "garminconnect"])
def test_a_workers_debug_log_holds_no_secret_and_names_the_job(
    own_stack: Stack, own_client: Client, garmin: Simulator, driver: str
) -> None:
    worker = started(own_stack, FITTRACK_GARMIN_DRIVERS=driver)

    login = own_client.submit_login(USERNAME)
    asked = own_client.wait(login)
    code = garmin.code(USERNAME)
    half_done = pending_state(own_stack, asked["mfa_challenge_id"])
    refused = own_client.send_code(asked, "000000" if code != "000000" else "111111")
    submitted = own_client.submit_code(refused["mfa_challenge_id"], code)
    signed_in = own_client.wait(submitted)
    assert signed_in["status"] == "succeeded", signed_in
    wrong = own_client.login("plain-zoe@example.com", "a wrong secret password")
    assert wrong["error"]["code"] == "invalid_credentials"

    lines = lines_about(worker, login, submitted)
    secrets = {
        PASSWORD,
        "a wrong secret password",
        USERNAME,
        "plain-zoe@example.com",
        "ST-",
        login["poll_token"],
        asked["mfa_challenge_id"],
        signed_in["access_token"],
        own_stack.settings["FITTRACK_ENCRYPTION_KEYS"].partition(":")[2],
        *long_parts(half_done),
        *long_parts(garmin_tokens(own_stack, signed_in)),
    }
    assert len(secrets) > 10  # cookies and tokens among them
    log = worker.output()
    assert [secret for secret in secrets if secret in log] == []
    assert re.search(rf"\b{code}\b", log) is None

    spoke = {line["logger"].partition(".")[0]: line for line in lines}
    assert {"celery", "kombu", "redis"} <= set(spoke)
    telltale = spoke["urllib3" if driver == "garth" else "garminconnect"]
    assert telltale["event"] == "message suppressed"
    assert telltale["job_id"]


def test_a_worker_logs_no_more_than_the_log_level_allows(
    own_stack: Stack, own_client: Client
) -> None:
    own_stack.settings["FITTRACK_LOG_LEVEL"] = "ERROR"
    own_stack.begin_api().wait_ready()
    worker = own_stack.begin_worker()

    assert own_client.login("plain-zoe@example.com")["status"] == "succeeded"

    assert json_lines(worker) == []
    assert "[config]" in worker.output()  # Celery's banner is no log line


def test_flower_logs_in_the_same_format(own_stack: Stack) -> None:
    port = free_port()
    celery = str(BIN / "celery")
    command = [celery, "-A", "worker.main", "flower", "--address=127.0.0.1"]
    with Process(
        "flower",
        [*command, f"--port={port}"],
        own_stack.folder / "flower.log",
        clean_environment(own_stack.settings),
        answers_on(port),
    ) as flower:
        eventually(lambda: "Registered tasks" in flower.output())
    lines = parsed(flower.output())
    assert {"info", "flower.command"} <= {
        line[name] for line in lines for name in ("level", "logger")
    }


def lines_about(worker: Process, *jobs: Json) -> list[dict[str, Any]]:
    """All lines, once each of the jobs has both its first and its last."""

    def complete() -> bool:
        lines = json_lines(worker)
        return all(
            any(f"[{job['job_id']}] {word}" in line["event"] for line in of_job(lines, job))
            for job in jobs
            for word in ("received", "succeeded")
        )

    eventually(complete)
    return json_lines(worker)


def of_job(lines: list[dict[str, Any]], job: Json) -> list[dict[str, Any]]:
    return [line for line in lines if line.get("job_id") == job["job_id"]]


def json_lines(worker: Process) -> list[dict[str, Any]]:
    """Every line but for Celery's banner, which it prints once, before it is ready."""
    log = worker.output()
    whole = log[: log.rfind("\n") + 1].splitlines(keepends=True)
    first = [number for number, line in enumerate(whole) if " ready." in line]
    ready = first[0] if first else len(whole)
    of_json = [line for line in whole[:ready] if line.startswith("{")]
    return parsed("".join([*of_json, *whole[ready:]]))


def pending_state(stack: Stack, challenge_id: str) -> str:
    """The half-done sign-in, with Garmin's cookies, from where it is sealed in Redis."""
    with Redis.from_url(stack.settings["FITTRACK_REDIS_URL"]) as redis:
        challenges = ChallengeStore(redis, keyring(stack), ttl=600, attempts=3)
        found = challenges.reserve(SecretStr(challenge_id), "a look at it")
        challenges.release(SecretStr(challenge_id), "a look at it")
    return found.pending.state.get_secret_value()


def garmin_tokens(stack: Stack, signed_in: Json) -> str:
    """What Garmin gave, from where it is sealed in the database."""
    database = Database(stack.settings["FITTRACK_DATABASE_URL"])
    user_id = UUID(signed_in["user"]["id"])
    tokens = database.run(lambda session: TokenRepository(session, keyring(stack)).load(user_id))
    database.close()
    assert tokens is not None
    return tokens.data.get_secret_value()


def keyring(stack: Stack) -> Keyring:
    return Keyring.parse(stack.settings["FITTRACK_ENCRYPTION_KEYS"])


def long_parts(data: str) -> set[str]:
    parts = re.split(r'["\\\s;=&]+', data)
    return {part for part in parts if len(part) > 20 and "://" not in part}


def eventually(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < ends_at, "it never came true"
        time.sleep(0.05)
