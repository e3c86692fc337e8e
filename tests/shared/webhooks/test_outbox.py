"""What is written for whom: with each change of a connection, in its transaction."""

import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shared.accounts.clients import ClientRepository
from shared.accounts.refreshes import RefreshLog
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.models import GarminToken, WebhookEndpoint
from shared.errors import InterruptedSignInError
from shared.origin import UNKNOWN, Origin
from shared.webhooks.endpoints import EndpointRepository
from tests.end_to_end.database import wait_for_someone_locked_out
from tests.shared.samples import ANNA, BOB, garmin_tokens
from tests.webhook_outbox import App

CONNECTED = "garmin.connected"
DISCONNECTED = "garmin.disconnected"
SIGN_IN_REQUIRED = "garmin.sign_in_required"


@pytest.fixture
def app(database: Database, keyring: Keyring) -> App:
    app = App(database, keyring)
    app.add_endpoint()
    return app


@pytest.fixture
def other(database: Database, keyring: Keyring) -> App:
    other = App(database, keyring, "other")
    other.add_endpoint("http://127.0.0.1:9/other")
    return other


def test_a_sign_in_tells_its_own_app_alone(app: App, other: App) -> None:
    app.connect("member-1")
    other.connect("person-1")
    assert app.told() == [(CONNECTED, "member-1")]
    assert other.told() == [(CONNECTED, "person-1")]
    assert len({row.id for row in (*app.deliveries(), *other.deliveries())}) == 2


def test_a_sign_in_that_is_stored_twice_is_told_of_once(app: App) -> None:
    origin = Origin(client_id=app.client_id, client_user_id="member-1")
    session_id, token = uuid.uuid4(), SecretStr(new_token())
    for _ in range(2):
        app.accounts.store(ANNA, garmin_tokens(), session_id, token, origin)
    assert app.told() == [(CONNECTED, "member-1")]


def test_each_enabled_endpoint_of_an_app_is_told(app: App, database: Database) -> None:
    disabled, _ = app.add_endpoint("http://127.0.0.1:9/disabled")
    app.add_endpoint("http://127.0.0.1:9/second")
    gone = update(WebhookEndpoint).where(WebhookEndpoint.id == disabled)
    database.run(lambda s: s.execute(gone.values(disabled_at=datetime.now(UTC))))
    app.connect()
    endpoints = {row.endpoint_id for row in app.deliveries()}
    assert len(endpoints) == 2
    assert disabled not in endpoints


def test_a_state_is_told_to_every_app_that_uses_the_tokens_until_it_is_well_again(
    app: App, other: App
) -> None:
    app.connect("member-1")
    other.connect("person-1")
    app.reject("member-1")
    app.connect("member-1")
    app.connect("member-1")
    assert app.told() == [
        (CONNECTED, "member-1"),
        (SIGN_IN_REQUIRED, "member-1"),
        (CONNECTED, "member-1"),
        (CONNECTED, "member-1"),
    ]
    assert other.told() == [
        (CONNECTED, "person-1"),
        (SIGN_IN_REQUIRED, "person-1"),
        (CONNECTED, "person-1"),
    ]
    required = app.deliveries()[1]
    assert (required.state, required.reason) == ("sign_in_required", "rejected")


def test_a_persons_own_sign_in_makes_the_connections_of_apps_well_again(app: App) -> None:
    app.connect()
    app.reject()
    app.accounts.store(ANNA, garmin_tokens(), uuid.uuid4(), SecretStr(new_token()), UNKNOWN)
    assert [kind for kind, _ in app.told()] == [CONNECTED, SIGN_IN_REQUIRED, CONNECTED]


def test_a_connection_that_is_soon_over_is_told_of_once(app: App, database: Database) -> None:
    app.connect()
    soon = datetime.now(UTC) + timedelta(days=3)

    def pass_time(session: Session) -> None:
        values = {"refresh_expires_at": soon, "refresh_due_at": datetime.now(UTC)}
        session.execute(update(GarminToken).values(refresh_claimed_until=None, **values))

    for _ in range(2):
        database.run(pass_time)
        database.run(lambda s: RefreshLog(s, app.keyring).claim_due(10))
    assert [kind for kind, _ in app.told()] == [CONNECTED, "garmin.expiring"]
    assert app.deliveries()[-1].state == "expiring"


def test_disconnecting_tells_who_was_connected(app: App, other: App) -> None:
    app.connect("member-1")
    user_id = other.connect("person-1")
    app.disconnect("member-1")
    assert other.told() == [(CONNECTED, "person-1")]
    other.database.run(lambda s: other.accounts.unlink_user(s, user_id, UNKNOWN))
    assert app.told() == [(CONNECTED, "member-1"), (DISCONNECTED, "member-1")]
    assert other.told() == [(CONNECTED, "person-1"), (DISCONNECTED, "person-1")]
    last = app.deliveries()[-1]
    assert (last.state, last.reason, last.method) == (None, None, "password")


def test_another_person_under_the_same_id_is_a_connection_anew(app: App) -> None:
    app.connect("member-1")
    app.connect("member-1", BOB)
    assert app.told() == [(CONNECTED, "member-1")] * 2


def test_what_is_rolled_back_is_not_told_of(app: App) -> None:
    app.connect()

    def fail(session: Session) -> None:
        app.accounts.unlink_client_user(session, "member-1", Origin(client_id=app.client_id))
        raise InterruptedSignInError

    with pytest.raises(InterruptedSignInError):
        app.database.run(fail)
    assert app.told() == [(CONNECTED, "member-1")]


def test_removing_an_app_removes_what_it_has_yet_to_hear(app: App, database: Database) -> None:
    app.connect()

    def remove(session: Session) -> None:
        app.accounts.unlink_client(session, Origin(client_id=app.client_id))
        ClientRepository(session).remove(app.name)

    database.run(remove)
    assert app.told() == []
    assert database.run(lambda s: s.scalars(select(WebhookEndpoint)).all()) == []


def test_whoever_disconnects_is_told_of_it_last(postgres_url: str, keyring: Keyring) -> None:
    database = Database(postgres_url)
    app = App(database, keyring)
    app.add_endpoint()
    app.connect()
    with ThreadPoolExecutor(1) as pool:

        def reject(session: Session) -> Future[None]:
            (token,) = session.scalars(select(GarminToken)).all()
            assert RefreshLog(session, keyring).reject(token.id, token.generation)
            disconnecting = pool.submit(app.disconnect)
            wait_for_someone_locked_out(postgres_url)
            return disconnecting

        database.run(reject).result(30)
    assert [kind for kind, _ in app.told()] == [CONNECTED, SIGN_IN_REQUIRED, DISCONNECTED]
    database.close()


def test_an_endpoint_that_is_being_removed_harms_no_sign_in(
    postgres_url: str, keyring: Keyring
) -> None:
    database = Database(postgres_url)
    app = App(database, keyring)
    endpoint_id, _ = app.add_endpoint()
    with ThreadPoolExecutor(1) as pool:

        def remove(session: Session) -> Future[uuid.UUID]:
            EndpointRepository(session, keyring).remove(endpoint_id)
            signing_in = pool.submit(app.connect)
            wait_for_someone_locked_out(postgres_url)
            return signing_in

        database.run(remove).result(30)
    assert app.told() == []
    database.close()
