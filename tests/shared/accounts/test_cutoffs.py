"""Unlinking and logging out everywhere end sign-ins that are still going on."""

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from shared.accounts.accounts import StoredSignIn
from shared.accounts.clients import ClientView
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.models import ClientLink, GarminToken, User, UserSession
from shared.errors import LinkNotFoundError, SignInRevokedError
from shared.garmin.types import GarminIdentity
from shared.origin import UNKNOWN, Origin
from tests.shared.accounts.conftest import Repositories
from tests.shared.samples import ANNA, BOB, at_once, garmin_tokens


class People(Repositories):
    """Anna has signed in, through an app for its user `a`; `begin` submits sign-ins."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        super().__init__(database, keyring)
        self.app, _ = self.clients(lambda c: c.add("app"))
        self.other, _ = self.clients(lambda c: c.add("other"))
        self.anna = self.begin(ANNA, self.app, "a")()

    def begin(
        self, identity: GarminIdentity, app: ClientView | None = None, user_id: str | None = None
    ) -> Callable[[], StoredSignIn]:
        """Submit a sign-in; return what stores it, any number of times."""
        began, session_id, token = time.monotonic(), uuid.uuid4(), SecretStr(new_token())
        origin = UNKNOWN if app is None else origin_of(app, user_id)
        time.sleep(0.03)
        return lambda: self.accounts.store(
            identity, garmin_tokens(), session_id, token, origin, began
        )

    def unlink_user(self) -> None:
        self.database.run(lambda s: self.accounts.unlink_user(s, self.anna.user_id, UNKNOWN))

    def delete_user(self) -> None:
        self.database.run(lambda s: self.accounts.delete_user(s, self.anna.user_id, UNKNOWN))

    def log_out_everywhere(self) -> None:
        self.database.run(lambda s: self.accounts.log_out_everywhere(s, self.anna.user_id, UNKNOWN))

    def unlink_app(self) -> None:
        origin = origin_of(self.app, None)
        self.database.run(lambda s: self.accounts.unlink_client_user(s, "a", origin))

    def open_sessions(self) -> int:
        query = select(func.count()).select_from(UserSession)
        return self.database.run(
            lambda s: s.scalar(query.where(UserSession.revoked_at.is_(None))) or 0
        )


def origin_of(app: ClientView, user_id: str | None) -> Origin:
    return Origin(client_id=app.client_id, client_user_id=user_id)


@pytest.fixture
def people(database: Database, keyring: Keyring) -> People:
    return People(database, keyring)


def _both_at_once(*works: Callable[[], object]) -> list[object]:
    return at_once(lambda number: works[number](), threads=2)


END_ALL = [People.unlink_user, People.log_out_everywhere]


@pytest.mark.parametrize("end", END_ALL)
def test_a_sign_in_that_began_before_is_not_stored(
    people: People, end: Callable[[People], None]
) -> None:
    store = people.begin(ANNA, people.other)
    end(people)
    tokens, sessions = people.count(GarminToken, UserSession)
    for _ in range(2):
        with pytest.raises(SignInRevokedError):
            store()
    assert people.count(GarminToken, UserSession) == [tokens, sessions]


@pytest.mark.parametrize("end", [*END_ALL, People.unlink_app])
def test_a_sign_in_that_began_after_is_stored(
    people: People, end: Callable[[People], None]
) -> None:
    end(people)
    time.sleep(0.03)
    stored = people.begin(ANNA, people.app, "a")()
    assert people.load_tokens(stored.user_id) is not None


@pytest.mark.parametrize("end", END_ALL)
def test_another_persons_sign_in_goes_on(people: People, end: Callable[[People], None]) -> None:
    store = people.begin(BOB)
    end(people)
    assert people.load_tokens(store().user_id) is not None


@pytest.mark.parametrize(
    ("identity", "user_id"),
    [(ANNA, "a"), (ANNA, None), (ANNA, "b"), (BOB, "a")],
    ids=["the same", "without an id", "another id", "another Garmin account"],
)
def test_an_apps_unlinking_ends_its_sign_ins(
    people: People, identity: GarminIdentity, user_id: str | None
) -> None:
    store = people.begin(identity, people.app, user_id)
    people.unlink_app()
    with pytest.raises(SignInRevokedError):
        store()
    assert people.count(GarminToken) == [0]


def test_an_apps_unlinking_ends_nobody_elses_sign_in(people: People) -> None:
    others = [
        people.begin(ANNA),
        people.begin(ANNA, people.other, "a"),
        people.begin(BOB, people.app, "b"),
    ]
    people.unlink_app()
    for store in others:
        assert people.load_tokens(store().user_id) is not None


@pytest.mark.parametrize("end", [*END_ALL, People.unlink_app])
def test_a_sign_in_stored_at_the_same_time_leaves_no_session(
    people: People, end: Callable[[People], None]
) -> None:
    for _ in range(10):
        store = people.begin(ANNA, people.app, "a")
        _both_at_once(store, lambda: end(people))
        assert people.open_sessions() == 0
        time.sleep(0.03)
        people.begin(ANNA, people.app, "a")()


def test_a_sign_in_stored_while_its_user_is_deleted_leaves_nothing(people: People) -> None:
    for _ in range(10):
        store = people.begin(ANNA, people.app, "a")
        _both_at_once(store, people.delete_user)
        assert people.count(User, GarminToken, UserSession, ClientLink) == [0, 0, 0, 0]
        time.sleep(0.03)
        people.anna = people.begin(ANNA, people.app, "a")()


def test_unlinking_while_another_garmin_account_is_connected_leaves_neither(
    people: People,
) -> None:
    for _ in range(10):
        store = people.begin(BOB, people.app, "a")
        _, ended = _both_at_once(store, people.unlink_app)
        if isinstance(ended, LinkNotFoundError):  # Bob was faster: the app is told
            people.unlink_app()
        assert people.count(ClientLink) == [0]
        time.sleep(0.03)
        people.begin(ANNA, people.app, "a")()


def test_the_clock_of_the_process_does_not_matter(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Ahead":
            return cls.fromtimestamp(datetime.now(UTC).timestamp(), UTC) + timedelta(days=100)

    store = people.begin(ANNA)
    with monkeypatch.context() as moved:
        for module in ("accounts", "tokens", "connections"):
            moved.setattr(f"shared.accounts.{module}.datetime", Ahead)
        people.unlink_user()
        with pytest.raises(SignInRevokedError):
            store()
    people.begin(ANNA)()
