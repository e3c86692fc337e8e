"""`fittrack-auth-admin clients …` and `events`, run as an operator runs them."""

import json
import subprocess
from collections.abc import Callable

import pytest

from dev.processes import clean_environment
from dev.stack import BIN, new_key
from shared.accounts.clients import ClientRepository
from shared.audit.events import Event, EventKind
from shared.audit.outbox import EventOutbox
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.errors import UnknownClientError
from shared.garmin.types import Credentials
from shared.origin import Origin
from shared.redis.connection import connect

Run = Callable[..., subprocess.CompletedProcess[str]]
_KEYS = new_key("admin")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def run(database_url: str, real_redis_url: str) -> Run:
    settings = {
        "FITTRACK_REDIS_URL": real_redis_url,
        "FITTRACK_DATABASE_URL": database_url,
        "FITTRACK_ENCRYPTION_KEYS": _KEYS,
    }

    def command(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "fittrack-auth-admin", *arguments],
            env=clean_environment(settings | more),
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )

    return command


def done(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def knows(database_url: str, key: str) -> bool:
    database = Database(database_url)
    try:
        database.run(lambda session: ClientRepository(session).find(key))
    except UnknownClientError:
        return False
    finally:
        database.close()
    return True


def test_a_client_is_added_renewed_and_removed(run: Run, database_url: str) -> None:
    key = done(run("clients", "add", "my-app"))
    assert len(key) == 43
    assert knows(database_url, key)
    listed = done(run("clients", "list"))
    assert "my-app" in listed
    assert key not in listed

    renewed = done(run("clients", "renew", "my-app"))
    assert not knows(database_url, key)
    assert knows(database_url, renewed)

    assert "0 links" in done(run("clients", "remove", "my-app"))
    assert not knows(database_url, renewed)
    told = [json.loads(line) for line in done(run("events", "--json")).splitlines()]
    assert [event["kind"] for event in told] == ["client_added", "client_renewed", "client_removed"]
    assert key not in str(told)


def test_a_name_that_is_taken_or_none_is_refused_and_nothing_is_printed(run: Run) -> None:
    done(run("clients", "add", "my-app"))
    for arguments, code in (
        (("add", "my-app"), 1),
        (("add", "a b"), 2),
        (("remove", "nobody"), 1),
        (("renew", "nobody"), 1),
    ):
        result = run("clients", *arguments)
        assert result.returncode == code
        assert result.stdout == ""
        assert len(result.stderr.strip().splitlines()) == 1


def test_events_that_still_wait_in_redis_are_shown_too(run: Run, real_redis_url: str) -> None:
    keyring = Keyring.parse(_KEYS)
    anna = Credentials.model_validate({"username": "anna@example.com", "password": "x"})
    origin = Origin(account=keyring.hash_name(anna.account), address="192.0.2.7")
    with connect(real_redis_url, timeout=5) as redis:
        EventOutbox(redis).add(Event.of(EventKind.SIGN_IN_REQUESTED, origin, job_id="job-1"))
        EventOutbox(redis).add(Event.of(EventKind.RATE_LIMITED, Origin(), "login-ip"))
        lines = done(run("events")).splitlines()
        assert len(lines) == 2
        assert "sign_in_requested" in lines[0]
        assert "address=192.0.2.7" in lines[0]
        by_name = done(run("events", "--username", "ANNA@example.com", "--json"))
        assert json.loads(by_name)["job_id"] == "job-1"
        assert done(run("events", "--username", "bob@example.com")) == ""
        assert "login-ip" in done(run("events", "--kind", "rate_limited"))
        assert len(done(run("events", "-n", "1")).splitlines()) == 1
        assert done(run("events", "--days", "1", "--job", "job-1")) != ""


def test_without_redis_the_log_is_shown_with_a_warning(run: Run) -> None:
    done(run("clients", "add", "my-app"))
    result = run("events", FITTRACK_REDIS_URL="redis://127.0.0.1:1/0")
    assert "client_added" in done(result)
    assert "newest events may be missing" in result.stderr
