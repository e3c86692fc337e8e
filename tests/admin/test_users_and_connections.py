"""`fittrack-auth-admin users …` and `connections …`."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from dev.stack import new_key
from shared.accounts.accounts import Accounts
from shared.accounts.clients import ClientRepository
from shared.accounts.refreshes import Holder, RefreshLog
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.models import AuthEvent, ClientLink, GarminToken, User, UserSession
from shared.errors import SignInRevokedError
from shared.garmin.types import GarminIdentity, GarminTokens
from shared.jobs.states import JobKind
from shared.origin import UNKNOWN, Origin
from shared.redis.connection import Redis, connect
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.driver_keys import DriverUse
from tests.admin.conftest import Result, Run
from tests.cooldowns import refuse
from tests.end_to_end.recorders import wait_until
from tests.shared.samples import ANNA, BOB, garmin_tokens

_KEYS = new_key("admin")


class People:
    """Who is stored, and what the tests look at."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.keyring = Keyring.parse(_KEYS)
        self.accounts = Accounts(database, self.keyring, 3600)
        self.app = database.run(lambda s: ClientRepository(s).add("coach"))[0]

    def sign_in(
        self,
        who: GarminIdentity = ANNA,
        user_id: str | None = None,
        tokens: GarminTokens | None = None,
        began: float | None = None,
    ) -> uuid.UUID:
        origin = UNKNOWN
        if user_id is not None:
            origin = Origin(client_id=self.app.client_id, client_user_id=user_id)
        session_id, access_token = uuid.uuid4(), SecretStr(new_token())
        found = tokens or garmin_tokens()
        return self.accounts.store(who, found, session_id, access_token, origin, began).user_id

    def rows(self, table: type) -> list[object]:
        return list(self.database.run(lambda s: s.scalars(select(table)).all()))

    def token(self, user_id: uuid.UUID) -> GarminToken:
        query = select(GarminToken).where(GarminToken.user_id == user_id)
        return self.database.run(lambda s: s.scalars(query).one())

    def finish_refresh(self, token: GarminToken) -> None:
        """As a worker does."""
        self.database.run(
            lambda s: RefreshLog(s, self.keyring).finish(token.id, token.generation, _REFRESHED)
        )


_REFRESHED = garmin_tokens("refreshed")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def people(database_url: str) -> Iterator[People]:
    database = Database(database_url)
    yield People(database)
    database.close()


@pytest.fixture
def redis(real_redis_url: str) -> Iterator[Redis]:
    with connect(real_redis_url, timeout=30) as client:
        yield client


@pytest.fixture
def admin(run: Run, database_url: str, real_redis_url: str) -> Run:
    settings = {
        "REDIS_URL": real_redis_url,
        "DATABASE_URL": database_url,
        "ENCRYPTION_KEYS": _KEYS,
    }
    return lambda *arguments, **changes: run(*arguments, **settings | changes)


def stdout(result: Result) -> str:
    assert result.exit_code == 0, result.stderr + result.stdout
    return result.stdout.strip()


def test_users_are_listed_with_how_they_are_connected(
    admin: Run, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin.users._PAGE", 2)
    ids = {str(people.sign_in(GarminIdentity(guid=f"g-{n}", display_name="A\nB"))) for n in "abcde"}
    lines = stdout(admin("users", "list")).splitlines()
    assert {line.split("\t")[0] for line in lines} == ids
    assert all("password: active\tapps: 0\tsessions: 1\tsince 20" in line for line in lines)
    assert len(stdout(admin("users", "list", "-n", "3")).splitlines()) == 3
    [first, *_] = stdout(admin("users", "list", "--json")).splitlines()
    assert json.loads(first)["display_name"] == "A\nB"


def test_a_user_is_shown_with_tokens_and_apps_but_no_secret(admin: Run, people: People) -> None:
    anna, _ = people.sign_in(ANNA, "member-1"), people.sign_in(BOB)
    text = stdout(admin("users", "show", str(anna)))
    assert "Anna" in text
    assert "password\tread_write\tgarth\tactive since 20" in text
    assert "app\tcoach\tmember-1\tsince 20" in text
    assert "plain-text" not in text
    values = json.loads(stdout(admin("users", "show", str(anna), "--json")))
    assert values["id"] == str(anna)
    [token], [connection] = values["tokens"], values["connections"]
    assert (token["state"], token["state_reason"], token["driver"]) == ("active", None, "garth")
    assert (connection["app"], connection["user_id"]) == ("coach", "member-1")


def test_a_deleted_user_leaves_nothing_but_audit_events(admin: Run, people: People) -> None:
    anna, bob = people.sign_in(ANNA, "member-1"), people.sign_in(BOB, "member-2")
    assert stdout(admin("users", "delete", str(anna))) == f"{anna} deleted"
    assert [user.id for user in people.rows(User)] == [bob]  # type: ignore[attr-defined]
    for table in (GarminToken, UserSession, ClientLink):
        assert len(people.rows(table)) == 1
    kinds = {event.kind for event in people.rows(AuthEvent)}  # type: ignore[attr-defined]
    assert kinds >= {"session_ended", "tokens_deleted", "user_deleted"}
    result = admin("users", "delete", str(anna))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no user with this id" in result.stderr
    assert admin("users", "show", str(anna)).exit_code == 1
    assert admin("users", "show", "anna").exit_code == 2


def test_a_sign_in_that_goes_on_does_not_bring_a_deleted_user_back(
    admin: Run, people: People
) -> None:
    anna, began = people.sign_in(ANNA, "member-1"), time.monotonic()
    stdout(admin("users", "delete", str(anna)))
    for user_id in (None, "member-1", "member-9"):
        with pytest.raises(SignInRevokedError):
            people.sign_in(ANNA, user_id, began=began)
    assert people.rows(User) == []
    people.sign_in(BOB, began=began)  # nobody else is affected
    new = people.sign_in(ANNA, "member-1")
    assert new != anna


def test_a_refresh_that_goes_on_does_not_bring_a_deleted_user_back(
    admin: Run, people: People
) -> None:
    anna = people.sign_in(ANNA, "member-1")
    token = people.token(anna)
    people.database.run(
        lambda s: RefreshLog(s, people.keyring).begin(
            token.id, token.generation, Holder("job", 1, "worker"), 60
        )
    )
    stdout(admin("users", "delete", str(anna)))
    people.finish_refresh(token)
    assert people.rows(GarminToken) == people.rows(User) == []


def test_connections_are_listed_by_state_and_app(
    admin: Run, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin.connections._PAGE", 1)
    people.sign_in(ANNA, "member-1")
    people.sign_in(BOB, "member-2", garmin_tokens(refreshable=timedelta(days=3)))
    people.database.run(lambda s: ClientRepository(s).add("other"))
    first, second = stdout(admin("connections", "list")).splitlines()
    assert first.startswith("coach\tmember-1\t")
    assert "\tactive since 20" in first
    assert "\tpassword, read_write, garth\trenewable until 20" in first
    assert "\texpiring since 20" in second
    assert stdout(admin("connections", "list", "--app", "coach", "-n", "1")) == first
    assert stdout(admin("connections", "list", "--app", "other")) == ""
    assert stdout(admin("connections", "list", "--state", "expiring")) == second
    values = json.loads(stdout(admin("connections", "list", "--state", "active", "--json")))
    assert (values["app"], values["user_id"], values["state"]) == ("coach", "member-1", "active")
    assert admin("connections", "list", "--app", "nobody").exit_code == 1
    assert "must be one of active" in admin("connections", "list", "--state", "dead").stderr


def test_a_connection_is_refreshed_by_hand(admin: Run, people: People, redis: Redis) -> None:
    anna = people.sign_in(ANNA, "member-1")
    token = people.token(anna)
    waiting = stdout_of_failure(admin("connections", "refresh", str(anna), "--wait", "0"))
    assert waiting.startswith("read_write, garth: not done yet: job ")
    job = waiting.split()[-3]
    assert redis.hget(f"fittrack:job:{job}", "kind") == JobKind.REFRESH.encode()
    redis.flushall()

    def finish() -> None:
        wait_until(lambda: redis.exists(f"fittrack:token:{token.id}") == 1)
        people.finish_refresh(token)

    worker = threading.Thread(target=finish)
    worker.start()
    text = stdout(admin("connections", "refresh", "member-1", "--app", "coach"))
    worker.join()
    assert text.startswith("read_write, garth: refreshed, access token until 20")


def test_a_refresh_by_hand_says_why_there_is_none(admin: Run, people: People, redis: Redis) -> None:
    anna = people.sign_in(ANNA, "member-1")
    cooldowns = DriverCooldowns(redis, use=DriverUse.REFRESH)
    refuse(cooldowns, "garth", 600)
    text = stdout_of_failure(admin("connections", "refresh", str(anna)))
    assert text == "read_write, garth: Garmin does not renew it for now: wait 600 s"
    token = people.token(anna)
    people.database.run(lambda s: RefreshLog(s, people.keyring).reject(token.id, token.generation))
    text = stdout_of_failure(admin("connections", "refresh", str(anna)))
    assert text.startswith("read_write, garth: a sign-in is required since 20")
    assert text.endswith("(rejected)")
    assert admin("connections", "refresh", str(uuid.uuid4())).exit_code == 1
    assert admin("connections", "refresh", "member-9", "--app", "coach").exit_code == 1
    without_app = admin("connections", "refresh", "member-1")
    assert without_app.exit_code == 2
    assert "an app's own id needs --app" in without_app.stderr


def stdout_of_failure(result: Result) -> str:
    assert result.exit_code == 1, result.stderr
    return result.stdout.strip()
