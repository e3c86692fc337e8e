"""Client apps, their connections, and what ends with the last connection."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shared.accounts.accounts import StoredSignIn
from shared.accounts.clients import ClientRepository, ClientView
from shared.accounts.connections import ConnectionRepository, ConnectionView
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.models import ApiClient, ClientLink, GarminToken, UserSession
from shared.errors import (
    ClientExistsError,
    InterruptedSignInError,
    InvalidClientNameError,
    LinkNotFoundError,
    SignInRevokedError,
    UnknownClientError,
)
from shared.garmin.types import GarminIdentity
from shared.origin import UNKNOWN, Origin
from tests.shared.accounts.conftest import Repositories
from tests.shared.samples import ANNA, BOB, at_once


class TwoApps(Repositories):
    def __init__(self, database: Database, keyring: Keyring) -> None:
        super().__init__(database, keyring)
        self.app, self.key = self.clients(lambda c: c.add("app"))
        self.other, _ = self.clients(lambda c: c.add("other"))

    def connect(
        self, identity: GarminIdentity, app: ClientView | None = None, user_id: str | None = None
    ) -> tuple[StoredSignIn, str]:
        """Sign in for the app's user; return what was stored and the access token."""
        access_token = new_token()
        origin = UNKNOWN if app is None else origin_of(app, user_id)
        return self.sign_in(identity, access_token=access_token, origin=origin), access_token

    def connect_again(self, identity: GarminIdentity, app: ClientView, user_id: str) -> None:
        """Sign in right after an unlinking: within half a round trip of it counts as before it."""
        with suppress(SignInRevokedError):
            self.connect(identity, app, user_id)
            return
        self.connect(identity, app, user_id)

    def view(self, app: ClientView, user_id: str) -> ConnectionView:
        return self.database.run(lambda s: ConnectionRepository(s).view(app.client_id, user_id))

    def unlink(self, app: ClientView, user_id: str) -> None:
        origin = origin_of(app, None)
        self.database.run(lambda s: self.accounts.unlink_client_user(s, user_id, origin))

    def remove(self) -> int:
        """Remove the app; return how many connections it had."""

        def work(session: Session) -> int:
            clients = ClientRepository(session)
            clients.lock_for_removal("app")
            deleted = self.accounts.unlink_client(session, origin_of(self.app, None))
            clients.remove("app")
            return deleted

        return self.database.run(work)


def origin_of(app: ClientView, user_id: str | None) -> Origin:
    return Origin(client_id=app.client_id, client_user_id=user_id)


@pytest.fixture
def apps(database: Database, keyring: Keyring) -> TwoApps:
    return TwoApps(database, keyring)


# Apps


def test_an_app_is_found_only_by_its_key(apps: TwoApps) -> None:
    assert apps.clients(lambda c: c.find(apps.key)) == apps.app
    for wrong in ("", "app", apps.key[:-1], apps.key + "x"):
        with pytest.raises(UnknownClientError):
            apps.clients(lambda c, wrong=wrong: c.find(wrong))  # type: ignore[misc]


def test_only_the_hash_of_a_client_key_is_stored(apps: TwoApps) -> None:
    [stored, _] = apps.database.run(lambda s: s.scalars(select(ApiClient.key_hash)).all())
    assert apps.key not in stored
    assert len(stored) == 64


def test_renewing_a_key_revokes_the_old_one_and_keeps_connections(apps: TwoApps) -> None:
    apps.connect(ANNA, apps.app, "a")
    _, new = apps.clients(lambda c: c.renew("app"))
    with pytest.raises(UnknownClientError):
        apps.clients(lambda c: c.find(apps.key))
    assert apps.clients(lambda c: c.find(new)) == apps.app
    assert apps.view(apps.app, "a").display_name == "Anna"


def test_taken_and_invalid_names_are_rejected(apps: TwoApps) -> None:
    with pytest.raises(ClientExistsError):
        apps.clients(lambda c: c.add("app"))
    for wrong in ("", " app", "a b", "x" * 33, "naïve", "-x", "a\n"):
        with pytest.raises(InvalidClientNameError):
            apps.clients(lambda c, wrong=wrong: c.add(wrong))  # type: ignore[misc]


def test_unknown_apps_can_not_be_renewed_or_removed(apps: TwoApps) -> None:
    with pytest.raises(UnknownClientError):
        apps.clients(lambda c: c.renew("nobody"))
    with pytest.raises(UnknownClientError):
        apps.clients(lambda c: c.remove("nobody"))


# Connections


def test_a_connection_describes_the_garmin_account(apps: TwoApps) -> None:
    stored, _ = apps.connect(ANNA, apps.app, "a")
    view = apps.view(apps.app, "a")
    assert (view.user_id, view.display_name) == (stored.user_id, "Anna")
    assert view.garmin is not None
    assert view.garmin.driver == "garth"


def test_an_app_sees_only_its_own_connections(apps: TwoApps) -> None:
    apps.connect(ANNA, apps.app, "a")
    for app, user_id in ((apps.other, "a"), (apps.app, "b"), (apps.app, "A")):
        with pytest.raises(LinkNotFoundError):
            apps.view(app, user_id)
        with pytest.raises(LinkNotFoundError):
            apps.unlink(app, user_id)
    assert apps.view(apps.app, "a").garmin is not None


def test_a_sign_in_without_a_user_id_creates_no_connection(apps: TwoApps) -> None:
    apps.connect(ANNA, apps.app, None)
    assert apps.count(ClientLink) == [0]


def test_deleting_the_last_connection_deletes_tokens_and_ends_sessions(apps: TwoApps) -> None:
    _, through_app = apps.connect(ANNA, apps.app, "a")
    _, without_id = apps.connect(ANNA, apps.app)
    _, bobs_token = apps.connect(BOB, apps.app, "b")

    apps.unlink(apps.app, "a")

    assert not apps.is_valid(through_app)
    assert not apps.is_valid(without_id)
    assert apps.is_valid(bobs_token)
    assert apps.count(GarminToken) == [1]
    with pytest.raises(LinkNotFoundError):
        apps.view(apps.app, "a")


def test_another_apps_connection_keeps_the_tokens_and_its_sessions(apps: TwoApps) -> None:
    _, through_app = apps.connect(ANNA, apps.app, "a")
    _, through_other = apps.connect(ANNA, apps.other, "a")

    apps.unlink(apps.app, "a")

    assert not apps.is_valid(through_app)
    assert apps.is_valid(through_other)
    assert apps.view(apps.other, "a").garmin is not None


@pytest.mark.parametrize("by_other", [False, True])
def test_a_session_opened_without_the_app_keeps_the_tokens(apps: TwoApps, by_other: bool) -> None:
    _, through_app = apps.connect(ANNA, apps.app, "a")
    stored, elsewhere = apps.connect(ANNA, apps.other if by_other else None)

    apps.unlink(apps.app, "a")

    assert not apps.is_valid(through_app)
    assert apps.find_session(elsewhere).garmin is not None
    assert apps.load_tokens(stored.user_id) is not None
    assert apps.count(ClientLink) == [0]


@pytest.mark.parametrize("column", ["expires_at", "last_seen_at", "revoked_at"])
def test_a_session_that_has_ended_keeps_no_tokens(apps: TwoApps, column: str) -> None:
    apps.connect(ANNA)
    long_ago = datetime.now(UTC) - timedelta(days=300)
    ended = {"created_at": long_ago, column: long_ago + timedelta(days=1)}
    apps.database.run(lambda s: s.execute(update(UserSession).values(**ended)))
    apps.connect(ANNA, apps.app, "a")
    apps.unlink(apps.app, "a")
    assert apps.count(GarminToken) == [0]


def test_connecting_another_garmin_account_disconnects_the_previous_one(apps: TwoApps) -> None:
    _, annas_token = apps.connect(ANNA, apps.app, "same")
    _, bobs_token = apps.connect(BOB, apps.app, "same")
    assert apps.view(apps.app, "same").display_name == "Bob"
    assert apps.count(GarminToken) == [1]
    assert not apps.is_valid(annas_token)
    assert apps.is_valid(bobs_token)


def test_unlinking_by_the_user_deletes_connections_and_ends_sessions(apps: TwoApps) -> None:
    stored, first = apps.connect(ANNA, apps.app, "a")
    _, second = apps.connect(ANNA, apps.other, "x")
    apps.database.run(
        lambda s: apps.accounts.unlink_user(s, stored.user_id, Origin(address="192.0.2.1"))
    )
    assert not apps.is_valid(first)
    assert not apps.is_valid(second)
    assert apps.count(GarminToken, ClientLink) == [0, 0]


def test_removing_an_app_deletes_tokens_that_only_it_had_connected(apps: TwoApps) -> None:
    apps.connect(ANNA, apps.app, "a")
    apps.connect(BOB, apps.app, "b")
    apps.connect(BOB, apps.other, "b")

    assert apps.remove() == 2
    assert apps.count(GarminToken) == [1]
    assert apps.view(apps.other, "b").display_name == "Bob"
    assert [c.name for c in apps.clients(lambda c: c.all())] == ["other"]


def test_removing_an_app_ends_its_sessions_also_of_users_it_has_not_connected(
    apps: TwoApps,
) -> None:
    _, annas_token = apps.connect(ANNA, apps.app)
    _, bobs_token = apps.connect(BOB, apps.app)
    _, elsewhere = apps.connect(BOB)

    assert apps.remove() == 0

    assert not apps.is_valid(annas_token)
    assert not apps.is_valid(bobs_token)
    assert apps.find_session(elsewhere).garmin is not None
    assert apps.count(GarminToken) == [1]


def test_concurrent_sign_ins_for_one_user_id_create_one_connection(apps: TwoApps) -> None:
    at_once(lambda _: apps.connect(ANNA, apps.app, "a"), threads=8)
    assert apps.count(ClientLink, GarminToken) == [1, 1]


def test_two_apps_that_unlink_at_once_leave_no_tokens(apps: TwoApps) -> None:
    for _ in range(10):
        apps.connect_again(ANNA, apps.app, "a")
        apps.connect_again(ANNA, apps.other, "a")
        answers = at_once(lambda n: apps.unlink((apps.app, apps.other)[n], "a"), threads=2)
        assert answers == [None, None]
        assert apps.count(ClientLink, GarminToken) == [0, 0]


def test_a_sign_in_while_another_app_unlinks_keeps_its_tokens(apps: TwoApps) -> None:
    for _ in range(10):
        apps.connect(ANNA, apps.app, "a")

        def act(number: int) -> str | None:
            if number == 0:
                apps.unlink(apps.app, "a")
                return None
            return apps.connect(ANNA, apps.other, "a")[1]

        answers = at_once(act, threads=2)
        if apps.is_valid(str(answers[1])):
            assert apps.view(apps.other, "a").garmin is not None
            apps.unlink(apps.other, "a")
        else:  # unlinked after the sign-in
            assert apps.count(GarminToken) == [0]


def test_a_sign_in_of_a_removed_app_stores_nothing(apps: TwoApps) -> None:
    apps.clients(lambda c: c.remove("app"))
    with pytest.raises(InterruptedSignInError):
        apps.connect(ANNA, apps.app, "a")
    assert apps.count(GarminToken) == [0]


def test_removing_an_app_during_sign_ins_leaves_no_tokens(apps: TwoApps) -> None:
    def act(number: int) -> None:
        if number:
            apps.connect(ANNA, apps.app, f"a{number}")
            return
        apps.remove()

    at_once(act, threads=6)
    assert apps.count(ClientLink, GarminToken) == [0, 0]
