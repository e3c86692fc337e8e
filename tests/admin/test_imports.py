"""`fittrack-auth-admin import`; the test plays the worker."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from dev.stack import new_key
from shared.accounts.accounts import Accounts
from shared.accounts.clients import ClientRepository
from shared.accounts.connections import ConnectionRepository
from shared.accounts.states import Method
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.database.models import UserSession
from shared.errors import JobNotFoundError
from shared.garmin.imports import Import, ImportedTokens, TokensUnreadableError
from shared.jobs.states import Failure, Outcome, Success
from shared.redis.connection import connect
from tests.admin.conftest import Result, Run
from tests.shared.jobs.both_sides import Jobs
from tests.shared.samples import ANNA, garmin_tokens

DI = '{"di_token": "canary-token", "di_refresh_token": "r", "di_client_id": "c"}'


class Operator:
    """Runs the command while a worker takes the job that it submits."""

    def __init__(self, run: Run, redis_url: str, database_url: str) -> None:
        key = new_key("admin")
        self.settings = {
            "REDIS_URL": redis_url,
            "DATABASE_URL": database_url,
            "ENCRYPTION_KEYS": key,
        }
        self._run = run
        self.keyring = Keyring.parse(key)
        self.database = Database(database_url)
        self.redis = connect(redis_url, timeout=30)
        self.jobs = Jobs(self.redis, self.keyring, 900)
        self.given: list[Import] = []
        client, _ = self.database.run(lambda session: ClientRepository(session).add("app"))
        self.client_id = client.client_id

    def close(self) -> None:
        self.redis.close()
        self.database.close()

    def run(self, *arguments: str) -> Result:
        return self._run("import", *arguments, **self.settings)

    @contextmanager
    def worker(self, failure: Failure | None = None) -> Iterator[None]:
        stopped = threading.Event()
        thread = threading.Thread(target=self._work, args=(stopped, failure))
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def _work(self, stopped: threading.Event, failure: Failure | None) -> None:
        while not stopped.wait(0.05):
            for raw in self.redis.lrange("fittrack:celery:login", 0, -1):
                self._take(json.loads(raw)["headers"]["id"], failure)
                return

    def _take(self, job_id: str, failure: Failure | None) -> None:
        claim = self.jobs.claim(job_id, "worker")
        work = self.jobs.open_input(claim, Import)
        assert work is not None
        self.given.append(work)
        outcome: Outcome = failure or Success(
            session_id="",
            access_token=SecretStr(""),
            session_expires_at=datetime.now(UTC) + timedelta(hours=1),
            user_id="",
            display_name="Anna",
            exclusive=True,
        )
        if isinstance(outcome, Success):
            session_id, token = UUID(job_id), SecretStr("session")
            stored = Accounts(self.database, self.keyring, 3600).store(
                ANNA, garmin_tokens(), session_id, token, claim.origin, method=Method.IMPORT
            )
            ids = {"session_id": str(session_id), "user_id": str(stored.user_id)}
            outcome = outcome.model_copy(update=ids)
        self.jobs.end(claim, outcome)


@pytest.fixture
def operator(run: Run, real_redis_url: str, sqlite_url: str) -> Iterator[Operator]:
    operator = Operator(run, real_redis_url, sqlite_url)
    yield operator
    operator.close()


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "garmin_tokens.json"
    path.write_text(DI, encoding="utf-8")
    return str(path)


def test_a_user_of_an_app_is_connected(operator: Operator, file: str) -> None:
    with operator.worker():
        result = operator.run("app", "member-1", file)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "app: connected to Anna\n"
    assert "delete these tokens" in result.stderr
    [work] = operator.given
    assert isinstance(work.given, ImportedTokens)
    assert work.given.tokens.get_secret_value() == DI
    view = operator.database.run(
        lambda session: ConnectionRepository(session).view(operator.client_id, "member-1")
    )
    assert view.garmin.method == "import"


def test_the_session_that_nobody_holds_is_ended(operator: Operator, file: str) -> None:
    with operator.worker():
        operator.run("app", "member-1", file)
    [row] = operator.database.run(lambda session: list(session.scalars(select(UserSession))))
    assert row.revoked_at is not None


def test_a_folder_with_garths_files_is_read(operator: Operator, tmp_path: Path) -> None:
    for name in ("oauth1_token.json", "oauth2_token.json"):
        (tmp_path / name).write_text(f'{{"from": "{name}"}}', encoding="utf-8")
    with operator.worker():
        operator.run("app", "member-1", str(tmp_path))
    [work] = operator.given
    assert isinstance(work.given, ImportedTokens)
    assert work.given.tokens.get_secret_value().count("_token.json") == 2


def test_a_failure_says_why(operator: Operator, file: str) -> None:
    error = TokensUnreadableError("garth's tokens", "access_token is missing")
    with operator.worker(Failure.of(error)):
        result = operator.run("app", "member-1", file)
    assert result.exit_code == 1
    assert "tokens_unreadable" in result.stderr
    assert "access_token is missing" in result.stderr
    assert "canary" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("nobody", "member-1", "FILE"), 1),
        (("app", "", "FILE"), 2),
        (("app", "a\nb", "FILE"), 2),
        (("app", "m" * 129, "FILE"), 2),
        (("app", "member-1", "/nowhere/canary"), 2),
    ],
)
def test_nothing_is_submitted_for_a_wrong_argument(
    operator: Operator, file: str, arguments: tuple[str, ...], exit_code: int
) -> None:
    result = operator.run(*(file if a == "FILE" else a for a in arguments))
    assert result.exit_code == exit_code
    assert "canary" not in result.stderr
    assert operator.redis.llen("fittrack:celery:login") == 0


def test_a_job_that_expires_is_not_waited_for(
    operator: Operator, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise JobNotFoundError

    monkeypatch.setattr("shared.jobs.store.view_job", gone)
    result = operator.run("app", "member-1", file)
    assert result.exit_code == 3
    assert "no worker" in result.stderr
