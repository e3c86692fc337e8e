"""Apps, what they have linked, and how tokens and sessions end with that."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.accounts.accounts import Accounts, StoredSignIn
from shared.accounts.clients import ClientRepository, ClientView
from shared.accounts.connections import ConnectionRepository, ConnectionView
from shared.accounts.sessions import SessionRepository
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.models import ApiClient, ClientLink, GarminToken
from shared.errors import (
    ClientExistsError,
    InterruptedSignInError,
    InvalidClientNameError,
    LinkNotFoundError,
    UnauthorizedError,
    UnknownClientError,
)
from shared.garmin.types import GarminIdentity
from shared.origin import UNKNOWN, Origin
from tests.shared.samples import ANNA, BOB, at_once, garmin_tokens


class Book:
    """Two apps and the people they link, each call in a transaction of its own."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self.database = database
        self.accounts = Accounts(database, keyring, session_ttl=3600)
        self.app, self.key = self.clients(lambda c: c.add("app"))
        self.other, _ = self.clients(lambda c: c.add("other"))

    def clients[T](self, work: Callable[[ClientRepository], T]) -> T:
        return self.database.run(lambda session: work(ClientRepository(session)))

    def sign_in(
        self, who: GarminIdentity, app: ClientView | None = None, user_id: str | None = None
    ) -> tuple[StoredSignIn, str]:
        """What was stored, and the session's access token."""
        token = new_token()
        origin = UNKNOWN if app is None else origin_of(app, user_id)
        stored = self.accounts.store(who, garmin_tokens(), uuid.uuid4(), SecretStr(token), origin)
        return stored, token

    def view(self, app: ClientView, user_id: str) -> ConnectionView:
        return self.database.run(lambda s: ConnectionRepository(s).view(app.client_id, user_id))

    def unlink(self, app: ClientView, user_id: str) -> None:
        origin = origin_of(app, None)
        self.database.run(lambda s: self.accounts.unlink_client_user(s, user_id, origin))

    def rows(self, table: Any) -> int:  # noqa: ANN401 - any mapped class
        def work(session: Session) -> int:
            return session.scalar(select(func.count()).select_from(table)) or 0

        return self.database.run(work)

    def is_open(self, access_token: str) -> bool:
        try:
            self.database.run(lambda s: SessionRepository(s).find(access_token))
        except UnauthorizedError:
            return False
        return True


def origin_of(app: ClientView, user_id: str | None) -> Origin:
    return Origin(client_id=app.client_id, client_user_id=user_id)


@pytest.fixture
def book(database: Database, keyring: Keyring) -> Book:
    return Book(database, keyring)


# Apps


def test_an_app_is_known_by_its_key_alone(book: Book) -> None:
    assert book.clients(lambda c: c.find(book.key)) == book.app
    for wrong in ("", "app", book.key[:-1], book.key + "x"):
        with pytest.raises(UnknownClientError):
            book.clients(lambda c, wrong=wrong: c.find(wrong))  # type: ignore[misc]


def test_only_a_hash_of_the_key_is_kept(book: Book) -> None:
    [stored, _] = book.database.run(lambda s: s.scalars(select(ApiClient.key_hash)).all())
    assert book.key not in stored
    assert len(stored) == 64


def test_a_renewed_key_voids_the_one_before_and_keeps_the_links(book: Book) -> None:
    book.sign_in(ANNA, book.app, "a")
    _, new = book.clients(lambda c: c.renew("app"))
    with pytest.raises(UnknownClientError):
        book.clients(lambda c: c.find(book.key))
    assert book.clients(lambda c: c.find(new)) == book.app
    assert book.view(book.app, "a").display_name == "Anna"


def test_a_name_is_taken_once_and_has_to_be_one(book: Book) -> None:
    with pytest.raises(ClientExistsError):
        book.clients(lambda c: c.add("app"))
    for wrong in ("", " app", "a b", "x" * 33, "naïve", "-x", "a\n"):
        with pytest.raises(InvalidClientNameError):
            book.clients(lambda c, wrong=wrong: c.add(wrong))  # type: ignore[misc]


def test_unknown_apps_can_not_be_renewed_or_removed(book: Book) -> None:
    with pytest.raises(UnknownClientError):
        book.clients(lambda c: c.renew("nobody"))
    with pytest.raises(UnknownClientError):
        book.clients(lambda c: c.remove("nobody"))


# Links


def test_a_link_leads_to_the_person_s_tokens(book: Book) -> None:
    stored, _ = book.sign_in(ANNA, book.app, "a")
    view = book.view(book.app, "a")
    assert (view.user_id, view.display_name) == (stored.user_id, "Anna")
    assert view.garmin is not None
    assert view.garmin.driver == "garth"


def test_an_app_sees_its_own_links_alone(book: Book) -> None:
    book.sign_in(ANNA, book.app, "a")
    for app, user_id in ((book.other, "a"), (book.app, "b"), (book.app, "A")):
        with pytest.raises(LinkNotFoundError):
            book.view(app, user_id)
        with pytest.raises(LinkNotFoundError):
            book.unlink(app, user_id)
    assert book.view(book.app, "a").garmin is not None


def test_a_sign_in_without_an_id_links_nothing(book: Book) -> None:
    book.sign_in(ANNA, book.app, None)
    assert book.rows(ClientLink) == 0


def test_the_last_link_takes_tokens_and_sessions_with_it(book: Book) -> None:
    _, through_app = book.sign_in(ANNA, book.app, "a")
    _, by_herself = book.sign_in(ANNA)
    _, bobs = book.sign_in(BOB, book.app, "b")

    book.unlink(book.app, "a")

    assert not book.is_open(through_app)
    assert not book.is_open(by_herself)
    assert book.is_open(bobs)
    assert book.rows(GarminToken) == 1
    with pytest.raises(LinkNotFoundError):
        book.view(book.app, "a")


def test_another_app_s_link_keeps_tokens_and_its_own_sessions(book: Book) -> None:
    _, through_app = book.sign_in(ANNA, book.app, "a")
    _, through_other = book.sign_in(ANNA, book.other, "a")

    book.unlink(book.app, "a")

    assert not book.is_open(through_app)
    assert book.is_open(through_other)
    assert book.view(book.other, "a").garmin is not None


def test_linking_another_garmin_account_lets_go_of_the_one_before(book: Book) -> None:
    _, annas = book.sign_in(ANNA, book.app, "same")
    _, bobs = book.sign_in(BOB, book.app, "same")
    assert book.view(book.app, "same").display_name == "Bob"
    assert book.rows(GarminToken) == 1
    assert not book.is_open(annas)
    assert book.is_open(bobs)


def test_unlinking_by_the_person_ends_every_link_and_session(book: Book) -> None:
    stored, first = book.sign_in(ANNA, book.app, "a")
    _, second = book.sign_in(ANNA, book.other, "x")
    book.database.run(
        lambda s: book.accounts.unlink_person(s, stored.user_id, Origin(address="192.0.2.1"))
    )
    assert not book.is_open(first)
    assert not book.is_open(second)
    assert (book.rows(GarminToken), book.rows(ClientLink)) == (0, 0)


def test_removing_an_app_removes_what_only_it_had_linked(book: Book) -> None:
    book.sign_in(ANNA, book.app, "a")
    book.sign_in(BOB, book.app, "b")
    book.sign_in(BOB, book.other, "b")

    def remove(session: Session) -> int:
        unlinked = book.accounts.unlink_client(session, origin_of(book.app, None))
        ClientRepository(session).remove("app")
        return unlinked

    assert book.database.run(remove) == 2
    assert book.rows(GarminToken) == 1
    assert book.view(book.other, "b").display_name == "Bob"
    assert [c.name for c in book.clients(lambda c: c.all())] == ["other"]


def test_linking_the_same_id_many_times_at_once_leaves_one_link(book: Book) -> None:
    at_once(lambda _: book.sign_in(ANNA, book.app, "a"), threads=8)
    assert (book.rows(ClientLink), book.rows(GarminToken)) == (1, 1)


def test_of_two_apps_that_unlink_at_once_none_leaves_tokens_behind(book: Book) -> None:
    for _ in range(10):
        book.sign_in(ANNA, book.app, "a")
        book.sign_in(ANNA, book.other, "a")
        answers = at_once(lambda n: book.unlink((book.app, book.other)[n], "a"), threads=2)
        assert answers == [None, None]
        assert (book.rows(ClientLink), book.rows(GarminToken)) == (0, 0)


def test_a_sign_in_while_another_app_unlinks_keeps_its_tokens(book: Book) -> None:
    for _ in range(10):
        book.sign_in(ANNA, book.app, "a")

        def act(number: int) -> str | None:
            if number == 0:
                book.unlink(book.app, "a")
                return None
            return book.sign_in(ANNA, book.other, "a")[1]

        answers = at_once(act, threads=2)
        if book.is_open(str(answers[1])):
            assert book.view(book.other, "a").garmin is not None
            book.unlink(book.other, "a")
        else:  # unlinked after it: then all of it is gone
            assert book.rows(GarminToken) == 0


def test_a_sign_in_of_an_app_that_is_removed_stores_nothing(book: Book) -> None:
    book.clients(lambda c: c.remove("app"))
    with pytest.raises(InterruptedSignInError):
        book.sign_in(ANNA, book.app, "a")
    assert book.rows(GarminToken) == 0


def test_removing_an_app_while_its_people_sign_in_leaves_no_tokens_behind(book: Book) -> None:
    def act(number: int) -> None:
        if number:
            book.sign_in(ANNA, book.app, f"a{number}")
            return
        origin = origin_of(book.app, None)

        def remove(session: Session) -> None:
            clients = ClientRepository(session)
            clients.named("app")
            book.accounts.unlink_client(session, origin)
            clients.remove("app")

        book.database.run(remove)

    at_once(act, threads=6)
    assert (book.rows(ClientLink), book.rows(GarminToken)) == (0, 0)
