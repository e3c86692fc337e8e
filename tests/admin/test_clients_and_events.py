"""`fittrack-auth-admin clients …` and `events`."""

import io
import json

import pytest

from dev.stack import new_key
from shared.accounts.appearance import Appearance
from shared.accounts.clients import ClientRepository, Scope
from shared.audit.events import Event, EventKind
from shared.audit.outbox import EventOutbox
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.errors import UnknownClientError
from shared.garmin.types import Credentials
from shared.origin import Origin
from shared.redis.connection import connect
from tests.admin.conftest import Result, Run

_KEYS = new_key("admin")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def admin(run: Run, database_url: str, real_redis_url: str) -> Run:
    settings = {
        "REDIS_URL": real_redis_url,
        "DATABASE_URL": database_url,
        "ENCRYPTION_KEYS": _KEYS,
    }
    return lambda *arguments, **changes: run(*arguments, **settings | changes)


def stdout(result: Result) -> str:
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


def is_valid(database_url: str, key: str) -> bool:
    database = Database(database_url)
    try:
        database.run(lambda session: ClientRepository(session).find(key))
    except UnknownClientError:
        return False
    finally:
        database.close()
    return True


def test_scopes_are_chosen_granted_and_revoked(admin: Run, database_url: str) -> None:
    everything = stdout(admin("clients", "add", "all"))
    some = stdout(admin("clients", "add", "some", "--scope", "sign_in", "--scope", "tokens"))
    assert scopes(database_url, everything) == set(Scope)
    assert scopes(database_url, some) == {Scope.SIGN_IN, Scope.TOKENS}
    assert stdout(admin("clients", "grant", "some", "connections")).endswith(
        "sign_in,connections,tokens"
    )
    assert scopes(database_url, some) == set(Scope)
    assert stdout(admin("clients", "revoke", "some", "sign_in", "tokens")) == "some: connections"
    assert scopes(database_url, some) == {Scope.CONNECTIONS}
    assert stdout(admin("clients", "revoke", "some", "connections")) == "some: nothing"
    assert scopes(database_url, some) == set()
    assert "sign_in,connections,tokens" in stdout(admin("clients", "list"))
    assert admin("clients", "grant", "some", "everything").exit_code == 2
    assert admin("clients", "grant", "nobody", "tokens").exit_code == 1
    events = [json.loads(line) for line in stdout(admin("events", "--json")).splitlines()]
    changes = [e["outcome"] for e in events if e["kind"] == "client_scopes_changed"]
    assert changes == ["sign_in,connections,tokens", "connections", "nothing"]


def scopes(database_url: str, key: str) -> set[Scope]:
    database = Database(database_url)
    found = database.run(lambda session: ClientRepository(session).find(key)).scopes
    database.close()
    return set(found)


def test_a_client_is_added_renewed_and_removed(admin: Run, database_url: str) -> None:
    key = stdout(admin("clients", "add", "my-app"))
    assert len(key) == 43
    assert is_valid(database_url, key)
    apps = stdout(admin("clients", "list"))
    assert "my-app" in apps
    assert key not in apps

    renewed = stdout(admin("clients", "renew", "my-app"))
    assert not is_valid(database_url, key)
    assert is_valid(database_url, renewed)

    assert "connections deleted: 0" in stdout(admin("clients", "remove", "my-app"))
    assert not is_valid(database_url, renewed)
    events = [json.loads(line) for line in stdout(admin("events", "--json")).splitlines()]
    kinds = [event["kind"] for event in events]
    assert kinds == ["client_added", "client_renewed", "client_removed"]
    assert key not in str(events)


def test_taken_invalid_and_unknown_names_fail_with_one_line(admin: Run) -> None:
    stdout(admin("clients", "add", "my-app"))
    for arguments, code in (
        (("add", "my-app"), 1),
        (("add", "a b"), 2),
        (("remove", "nobody"), 1),
        (("renew", "nobody"), 1),
    ):
        result = admin("clients", *arguments)
        assert result.exit_code == code
        assert result.stdout == ""
        assert len(result.stderr.strip().splitlines()) == 1


def test_events_that_are_still_in_redis_are_shown(
    admin: Run, real_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring = Keyring.parse(_KEYS)
    anna = Credentials.model_validate({"username": "anna@example.com", "password": "x"})
    origin = Origin(account=keyring.hash_name(anna.account), address="192.0.2.7")
    with connect(real_redis_url, timeout=5) as redis:
        EventOutbox(redis).add(Event.of(EventKind.SIGN_IN_REQUESTED, origin, job_id="job-1"))
        EventOutbox(redis).add(Event.of(EventKind.RATE_LIMITED, Origin(), "login-ip"))
        lines = stdout(admin("events")).splitlines()
        assert len(lines) == 2
        assert "sign_in_requested" in lines[0]
        assert "address=192.0.2.7" in lines[0]
        by_name = stdout(admin("events", "--username", "ANNA@example.com", "--json"))
        assert json.loads(by_name)["job_id"] == "job-1"
        assert stdout(admin("events", "--username", "bob@example.com")) == ""
        monkeypatch.setattr("sys.stdin", io.StringIO("  ANNA@example.com\n"))
        assert stdout(admin("events", "--username", "-", "--json")) == by_name
        assert "login-ip" in stdout(admin("events", "--kind", "rate_limited"))
        assert len(stdout(admin("events", "-n", "1")).splitlines()) == 1
        assert stdout(admin("events", "--days", "1", "--job", "job-1")) != ""


def test_an_empty_standard_input_names_nobody(admin: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    result = admin("events", "--username", "-")
    assert result.exit_code == 2
    assert "no username on standard input" in result.stderr
    assert result.stdout == ""


def test_without_redis_the_log_is_shown_with_a_warning(admin: Run) -> None:
    stdout(admin("clients", "add", "my-app"))
    result = admin("events", REDIS_URL="redis://127.0.0.1:1/0")
    assert "client_added" in stdout(result)
    assert "newest events may be missing" in result.stderr


def test_events_of_one_app_are_shown_also_after_its_removal(admin: Run) -> None:
    for name in ("one", "two"):
        stdout(admin("clients", "add", name))
    client_id = stdout(admin("clients", "list")).splitlines()[0].split("\t")[1]
    [event] = stdout(admin("events", "--app", "one", "--json")).splitlines()
    assert json.loads(event)["client_id"] == client_id
    stdout(admin("clients", "remove", "one"))
    result = admin("events", "--app", "one")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no app with this name" in result.stderr
    events = [
        json.loads(e) for e in stdout(admin("events", "--app", client_id, "--json")).splitlines()
    ]
    assert [e["kind"] for e in events] == ["client_added", "client_removed"]


def test_a_wrong_filter_is_answered_in_plain_words(admin: Run) -> None:
    for option, value, words in (
        ("--kind", "sign_in", "must be one of sign_in_requested, "),
        ("--user", "anna", "must be a user's id"),
        ("--job", "a\udcffb", "must be a job's id"),
        ("--job", "", "must be a job's id"),
        ("--domain", "garmin.example", "must be one of garmin.com, garmin.cn"),
    ):
        result = admin("events", option, value)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"Invalid value for '{option}': {words}" in result.stderr
    result = admin("clients", "add", "app", "--scope", "everything")
    assert "must be one of sign_in, connections, tokens" in result.stderr


def test_what_people_see_of_an_app_is_set_and_edited(admin: Run, database_url: str) -> None:
    key = stdout(
        admin(
            *("clients", "add", "my-app", "--display-name", "My App", "--accent", "#0B62C4"),
            *("--origin", "https://App.example:443/", "--origin", "http://127.0.0.1:8080"),
        )
    )
    appearance = Appearance("My App", "#0b62c4", ("https://app.example", "http://127.0.0.1:8080"))
    assert seen(database_url, key) == appearance
    assert "My App\t#0b62c4\thttps://app.example,http://127.0.0.1:8080" in stdout(
        admin("clients", "list")
    )
    edited = admin(
        *("clients", "edit", "my-app", "--accent", "", "--origin", "https://two.example"),
        *("--remove-origin", "http://127.0.0.1:8080"),
    )
    assert stdout(edited) == "my-app: My App\t-\thttps://app.example,https://two.example"
    assert seen(database_url, key).accent is None
    unknown = admin("clients", "edit", "my-app", "--remove-origin", "https://tow.example")
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert "the app has no origin https://tow.example" in unknown.stderr
    assert admin("clients", "edit", "nobody", "--accent", "#000000").exit_code == 1
    events = [json.loads(line) for line in stdout(admin("events", "--json")).splitlines()]
    assert [e["outcome"] for e in events if e["kind"] == "client_edited"] == ["my-app"]


@pytest.mark.parametrize(
    "options",
    [
        ("--origin", "app.example"),
        ("--origin", "https://app.example/page"),
        ("--origin", "https://user@app.example"),
        ("--origin", "https://*.example"),
        ("--origin", "https://app.example:port"),
        ("--origin", "javascript:alert(1)"),
        ("--accent", "blue"),
        ("--display-name", "a" * 65),
        ("--display-name", "two\nlines"),
    ],
)
def test_what_people_would_not_see_rightly_is_refused(admin: Run, options: tuple[str, ...]) -> None:
    result = admin("clients", "add", "my-app", *options)
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert stdout(admin("clients", "list")) == ""


def seen(database_url: str, key: str) -> Appearance:
    database = Database(database_url)
    client = database.run(lambda session: ClientRepository(session).find(key))
    database.close()
    return client.appearance
