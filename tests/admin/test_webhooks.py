"""`fittrack-auth-admin webhooks …`."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from dev.stack import new_key
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.database.models import WebhookEndpoint
from shared.webhooks.endpoints import EndpointRepository
from tests.admin.conftest import Result, Run
from tests.webhook_outbox import App, Worker
from tests.webhook_receiver import Receiver, answer, receiving

OLD, NEW = new_key("old"), new_key("new")


class Admin:
    """Commands over SQLite, an app, and a worker that is always there."""

    def __init__(self, run: Run, database_url: str, database: Database) -> None:
        self._run = run
        self._settings = {"DATABASE_URL": database_url, "REDIS_URL": "redis://127.0.0.1:1/0"}
        self.database = database
        self.app = App(database, Keyring.parse(OLD))
        self.worker = Worker(database, Keyring.parse(OLD))

    def __call__(self, *arguments: str, keys: str = OLD) -> Result:
        return self._run(*arguments, ENCRYPTION_KEYS=keys, **self._settings)

    def add(self, url: str) -> str:
        """Return the endpoint's secret."""
        added = self("webhooks", "add", "app", url)
        assert added.exit_code == 0, added.stderr
        return added.stdout.strip()

    def deliveries(self) -> list[dict[str, object]]:
        printed = self("webhooks", "deliveries", "app", "--json").stdout
        return [json.loads(line) for line in printed.splitlines()]


@pytest.fixture
def admin(run: Run, sqlite_url: str) -> Iterator[Admin]:
    database = Database(sqlite_url)
    admin = Admin(run, sqlite_url, database)
    yield admin
    admin.worker.courier.stop()
    database.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def test_an_endpoint_is_added_listed_rotated_and_removed(admin: Admin, receiver: Receiver) -> None:
    added = admin("webhooks", "add", "app", receiver.url)
    receiver.secret = added.stdout.strip()
    assert added.stdout.startswith("whsec_")
    assert "can't be shown again" in added.stderr
    listed = admin("webhooks", "list", "app").stdout
    endpoint_id, *rest = listed.strip().split("\t")
    assert rest == ["app", receiver.url, "enabled"]
    assert receiver.secret not in listed
    admin.app.connect()
    admin.worker.work()
    assert receiver.types() == ["garmin.connected"]

    receiver.secret = admin("webhooks", "rotate", "app", "--hours", "0").stdout.strip()
    admin.app.connect()
    admin.worker.work()
    assert len(receiver.applied) == 2

    assert admin("webhooks", "remove", endpoint_id).exit_code == 0
    assert admin("webhooks", "list").stdout == ""
    assert admin.deliveries() == []
    kinds = [line.split()[1] for line in admin("events").stdout.splitlines()]
    changes = [kind for kind in kinds if kind.startswith("webhook_")]
    assert changes == ["webhook_added", "webhook_rotated", "webhook_removed"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("add", "nobody", "https://127.0.0.1/"), 1, "there is no app with this name"),
        (("add", "app", "http://127.0.0.1:9/twice"), 1, "has an endpoint with this URL already"),
        (("add", "app", "ftp://app.example/"), 2, "must begin with https://"),
        (("add", "app", "http://169.254.169.254/latest"), 2, "metadata addresses are refused"),
        (("add", "app", "http://93.184.215.14/"), 2, "without https"),
        (("remove", "nobody"), 1, "there is no endpoint"),
        (("test", "00000000-0000-0000-0000-000000000000"), 1, "there is no endpoint"),
        (("resend", "00000000-0000-0000-0000-000000000000"), 1, "there is no such delivery"),
        (("resend",), 2, "name deliveries"),
        (("resend", "msg_1"), 2, "must be a delivery's id"),
        (("list", "nobody"), 1, "there is no app"),
        (("deliveries", "nobody"), 1, "there is no app"),
        (("deliveries", "--status", "lost"), 2, "'--status': must be one of pending, "),
    ],
)
def test_what_can_not_be_done_is_said_in_one_line(
    admin: Admin, arguments: tuple[str, ...], code: int, message: str
) -> None:
    admin.add("http://127.0.0.1:9/twice")
    result = admin("webhooks", *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stdout == ""


def test_an_app_with_several_endpoints_needs_the_id_of_one(admin: Admin) -> None:
    for path in ("one", "two"):
        admin.add(f"http://127.0.0.1:9/{path}")
    result = admin("webhooks", "rotate", "app")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "give the id of one" in result.stderr


def test_a_host_that_is_not_known_yet_is_accepted(admin: Admin) -> None:
    added = admin("webhooks", "add", "app", "http://app.invalid/hooks")
    assert added.exit_code == 0
    assert "checked with each delivery" in added.stderr


@pytest.mark.parametrize("status", [204, 500])
def test_a_test_shows_how_the_receiver_answers(
    admin: Admin, receiver: Receiver, status: int
) -> None:
    admin.add(receiver.url)
    receiver.reply = answer(status)
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.02):
            admin.worker.work()

    thread = threading.Thread(target=work)
    thread.start()
    result = admin("webhooks", "test", "app")
    over.set()
    thread.join()
    assert result.exit_code == (0 if status == 204 else 1)
    assert str(status) in result.stdout + result.stderr
    (one,) = receiver.received
    assert (one.event["type"], one.event["data"]["user_id"]) == ("webhook.test", None)
    assert admin.worker.work() == 0


def test_what_was_given_up_is_shown_and_sent_again(admin: Admin, receiver: Receiver) -> None:
    admin.add(receiver.url)
    receiver.reply = answer(503)
    admin.app.connect()
    admin.worker.work()
    (shown,) = admin.deliveries()
    assert (shown["status"], shown["attempts"], shown["answer"]) == ("pending", 1, "503")
    assert datetime.fromisoformat(str(shown["next_try_at"])) > datetime.now(UTC)
    assert "next try" in admin("webhooks", "deliveries").stdout

    receiver.reply = answer(410)
    admin.app.connect("member-2")
    admin.worker.work()
    assert {row["status"] for row in admin.deliveries()} == {"given_up"}
    assert "disabled" in admin("webhooks", "list").stdout
    assert "the endpoint is disabled" in admin("webhooks", "test", "app").stderr
    assert "webhook_disabled" in admin("events").stdout
    assert admin("webhooks", "resend", str(shown["id"])).exit_code == 1

    receiver.reply = None
    assert admin("webhooks", "enable", "app").exit_code == 0
    assert "2 to be" in admin("webhooks", "resend", "--given-up", "app").stdout
    admin.worker.work()
    assert {row["status"] for row in admin.deliveries()} == {"delivered"}
    assert admin("webhooks", "resend", str(shown["id"])).exit_code == 0
    admin.worker.work()
    assert [one.id for one in receiver.received].count(str(shown["webhook_id"])) == 3
    given_up = admin("webhooks", "deliveries", "--status", "given_up")
    assert given_up.stdout == ""


def test_secrets_are_sealed_and_rotated_with_the_keys(admin: Admin) -> None:
    secret = admin.add("http://127.0.0.1:9/")
    both = f"{NEW},{OLD}"
    assert "old: 1 row; still needed" in admin("keys", "check", keys=both).stdout
    rotated = admin("keys", "rotate", keys=both)
    assert rotated.exit_code == 0, rotated.stdout
    assert "1 row sealed with 'new', 0 left" in rotated.stdout
    refused = admin("keys", "check")
    assert "new: 1 row; NOT in FITTRACK_ENCRYPTION_KEYS" in refused.stdout
    broken = admin("keys", "rotate")
    assert "the secrets do not open with any key" in broken.stdout

    def read(session: Session) -> str:
        endpoints = EndpointRepository(session, Keyring.parse(NEW))
        row = session.scalars(select(WebhookEndpoint)).one()
        return endpoints.secrets(row).current.get_secret_value()

    assert admin.database.run(read) == secret
