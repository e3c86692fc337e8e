"""Connections by Personal API key, beside those by password: neither takes from the other."""

import uuid
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.accounts.accounts import StoredSignIn
from shared.accounts.clients import ClientView
from shared.accounts.connections import ConnectionRepository, ConnectionView
from shared.accounts.refreshes import RefreshLog
from shared.accounts.states import Access, ConnectionState, Method, StateReason
from shared.broker.tokens import OF_CLIENT, Connection, TokenBroker, Wanted, is_fresh
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.models import ApiClient, GarminToken, User
from shared.garmin.types import GarminDomain, GarminIdentity, GarminTokens
from shared.origin import UNKNOWN, Origin
from tests.shared.accounts.conftest import Repositories
from tests.shared.samples import garmin_tokens

ANNA = GarminIdentity(guid="0a1b2c3d-anna", display_name="Anna", garmin_display_name="anna7")
NAMED = GarminIdentity.of_name("anna7")
KEY, PASSWORD = Method.PERSONAL_API_KEY, Method.PASSWORD


class Person(Repositories):
    """Anna, who connects to apps as `member-1`."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        super().__init__(database, keyring)
        self.app, _ = self.clients(lambda c: c.add("app"))
        self.other, _ = self.clients(lambda c: c.add("other"))

    def connect(
        self,
        method: Method,
        app: ClientView | None = None,
        identity: GarminIdentity = ANNA,
        tokens: GarminTokens | None = None,
    ) -> StoredSignIn:
        origin = Origin(client_id=app.client_id, client_user_id="member-1") if app else UNKNOWN
        driver = "personal_api" if method is KEY else "garminconnect"
        given = tokens or garmin_tokens(method, driver=driver)
        session = SecretStr(new_token())
        return self.accounts.store(identity, given, uuid.uuid4(), session, origin, method=method)

    def view(self, app: ClientView) -> ConnectionView:
        return self.database.run(lambda s: ConnectionRepository(s).view(app.client_id, "member-1"))

    def token(self, app: ClientView) -> Connection:
        def read(session: Session) -> Connection:
            key_hash = session.get_one(ApiClient, app.client_id).key_hash
            values = {"key_hash": key_hash, "client_user_id": "member-1"}
            row = session.execute(OF_CLIENT, values).one()
            return TokenBroker(self.keyring).of_client(row)[1]

        return self.database.run(read)

    def mine(self, user_id: uuid.UUID) -> Connection:
        return self.database.run(lambda s: TokenBroker(self.keyring).of_user(s, user_id))

    def rows(self) -> dict[str, GarminToken]:
        return self.database.run(
            lambda s: {row.access: row for row in s.scalars(select(GarminToken))}
        )

    def users(self) -> set[str]:
        return self.database.run(lambda s: set(s.scalars(select(User.garmin_guid))))

    def unlink(self, app: ClientView) -> None:
        origin = Origin(client_id=app.client_id)
        self.database.run(lambda s: self.accounts.unlink_client_user(s, "member-1", origin))

    def reject(self, method: Method) -> None:
        row = self.rows()[method.access]
        self.database.run(lambda s: RefreshLog(s, self.keyring).reject(row.id, row.generation))


@pytest.fixture
def person(database: Database, keyring: Keyring) -> Person:
    return Person(database, keyring)


def untouched(before: GarminToken, after: GarminToken) -> bool:
    names = ("id", "generation", "ciphertext", "state", "method", "refresh_due_at", "updated_at")
    return all(getattr(before, name) == getattr(after, name) for name in names)


@pytest.mark.parametrize(("first", "last"), [(PASSWORD, KEY), (KEY, PASSWORD)])
def test_an_app_has_what_it_connected_last_and_the_other_stays(
    person: Person, first: Method, last: Method
) -> None:
    person.connect(first, person.app)
    before = person.rows()[first.access]
    person.connect(last, person.app)
    garmin, token = person.view(person.app).garmin, person.token(person.app).stored
    assert (garmin.access, garmin.method) == (last.access, last)
    assert (token.access, token.method) == (last.access, last)
    assert token.tokens.data.get_secret_value() == last
    assert untouched(before, person.rows()[first.access])
    person.connect(first, person.app)
    assert person.view(person.app).garmin.method is first
    assert person.rows().keys() == {Access.READ, Access.READ_WRITE}


def test_two_apps_of_one_person_each_have_their_own(person: Person) -> None:
    person.connect(PASSWORD, person.app)
    person.connect(KEY, person.other)
    assert person.token(person.app).stored.method is PASSWORD
    assert person.token(person.other).stored.method is KEY
    person.unlink(person.other)
    assert person.token(person.app).stored.tokens.data.get_secret_value() == PASSWORD


@pytest.mark.parametrize(
    ("dead", "alive", "reason"),
    [(KEY, PASSWORD, StateReason.KEY_REVOKED), (PASSWORD, KEY, StateReason.REJECTED)],
)
def test_the_end_of_one_is_not_the_end_of_the_other(
    person: Person, dead: Method, alive: Method, reason: StateReason
) -> None:
    person.connect(dead, person.app)
    person.connect(alive, person.other)
    person.reject(dead)
    ended = person.view(person.app).garmin
    assert (ended.standing.state, ended.standing.reason) == (
        ConnectionState.SIGN_IN_REQUIRED,
        reason,
    )
    assert not ended.linked
    assert person.view(person.other).garmin.standing.state is ConnectionState.ACTIVE


def test_a_session_gets_the_tokens_that_allow_the_most(person: Person) -> None:
    user_id = person.connect(KEY).user_id
    assert person.mine(user_id).stored.access is Access.READ
    assert person.connect(PASSWORD).user_id == user_id
    person.connect(KEY)
    assert person.mine(user_id).stored.access is Access.READ_WRITE


def test_the_last_token_of_a_key_is_as_fresh_as_it_gets(person: Person) -> None:
    tokens = garmin_tokens(driver="personal_api", refreshable=timedelta(minutes=2))
    data = SecretStr('{"access_token": "last"}')
    ends = {"access_expires_at": tokens.refresh_expires_at, "data": data}
    person.connect(KEY, person.app, tokens=tokens.model_copy(update=ends))
    assert is_fresh(person.token(person.app), Wanted(min_valid_for=3600))


@pytest.mark.parametrize(
    ("first", "last"), [((PASSWORD, ANNA), (KEY, NAMED)), ((KEY, NAMED), (PASSWORD, ANNA))]
)
def test_a_name_is_enough_where_the_app_says_that_it_is_the_same_person(
    person: Person, first: tuple[Method, GarminIdentity], last: tuple[Method, GarminIdentity]
) -> None:
    user_id = person.connect(first[0], person.app, first[1]).user_id
    before = person.rows()[first[0].access]
    assert person.connect(last[0], person.app, last[1]).user_id == user_id
    assert person.view(person.app).garmin.method is last[0]
    assert untouched(before, person.rows()[first[0].access])
    assert person.users() == {ANNA.guid}


def test_a_name_alone_opens_nobodys_account(person: Person) -> None:
    anna = person.connect(PASSWORD, person.app).user_id
    for app in (None, person.other):
        somebody = person.connect(KEY, app, NAMED).user_id
        assert somebody != anna
        assert person.mine(somebody).stored.access is Access.READ
    assert person.token(person.app).stored.user_id == anna
    assert person.users() == {ANNA.guid, NAMED.guid}


def test_another_name_is_another_person(person: Person) -> None:
    anna = person.connect(PASSWORD, person.app).user_id
    bob = person.connect(KEY, person.app, GarminIdentity.of_name("bob9")).user_id
    assert bob != anna
    assert person.view(person.app).user_id == bob


def test_a_name_of_another_domain_is_another_person(person: Person) -> None:
    anna = person.connect(PASSWORD, person.app).user_id
    key = garmin_tokens("key", driver="personal_api", domain=GarminDomain.CN)
    assert person.connect(KEY, person.app, NAMED, key).user_id != anna


def test_a_guid_that_is_known_already_is_not_given_to_somebody_else(person: Person) -> None:
    anna = person.connect(PASSWORD).user_id
    named = person.connect(KEY, person.app, NAMED).user_id
    assert person.connect(PASSWORD, person.app).user_id == anna != named
    assert person.users() == {ANNA.guid, NAMED.guid}
