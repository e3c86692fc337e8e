"""A finished sign-in in the database: all of it or nothing, sealed, and the same every time."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from traceback import format_exception
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import MetaData, create_engine, func, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.orm import Session

from dev.stack import new_key
from shared.accounts.accounts import Accounts, StoredSignIn
from shared.accounts.sessions import SessionRepository, SessionView
from shared.accounts.tokens import SealedTokens, TokenRepository
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.models import GarminToken, User, UserSession
from shared.errors import SealBrokenError, ServiceUnavailableError, UnauthorizedError
from shared.garmin.types import GarminDomain, GarminIdentity, GarminTokens
from tests.shared.samples import (
    ANNA,
    BOB,
    TOKEN,
    at_once,
    garmin_tokens,
    nothing_listens,
)

SESSION_TTL = 3600


class Book:
    """The repositories, each call in a transaction of its own."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self.database = database
        self.keyring = keyring
        self.accounts = Accounts(database, keyring, SESSION_TTL)

    def sign_in(
        self,
        who: GarminIdentity = ANNA,
        tokens: GarminTokens | None = None,
        session_id: uuid.UUID | None = None,
        access_token: str | None = None,
    ) -> StoredSignIn:
        return self.accounts.store(
            who,
            tokens or garmin_tokens(),
            session_id or uuid.uuid4(),
            SecretStr(access_token or new_token()),
        )

    def tokens[T](self, work: Callable[[TokenRepository], T]) -> T:
        return self.database.run(lambda s: work(TokenRepository(s, self.keyring)))

    def sessions[T](self, work: Callable[[SessionRepository], T]) -> T:
        return self.database.run(lambda s: work(SessionRepository(s)))

    def find(self, access_token: str) -> SessionView:
        return self.sessions(lambda sessions: sessions.find(access_token))

    def rows(self, table: Any) -> int:  # noqa: ANN401 - any mapped class
        return self.database.run(
            lambda s: s.execute(select(func.count()).select_from(table)).scalar_one()
        )

    def expire_session(self, session_id: uuid.UUID) -> None:
        def work(session: Session) -> None:
            long_ago = datetime.now(UTC) - timedelta(days=2)
            session.execute(
                update(UserSession)
                .where(UserSession.id == session_id)
                .values(created_at=long_ago, expires_at=long_ago + timedelta(days=1))
            )

        self.database.run(work)


@pytest.fixture
def book(database: Database, keyring: Keyring) -> Book:
    return Book(database, keyring)


# Tokens


def test_saved_tokens_load_as_they_were(book: Book) -> None:
    tokens = garmin_tokens()
    user_id = book.sign_in(tokens=tokens).user_id
    assert book.tokens(lambda repository: repository.load(user_id)) == tokens


def test_who_has_no_tokens_loads_none(book: Book) -> None:
    assert book.tokens(lambda repository: repository.load(uuid.uuid4())) is None


def test_tokens_that_can_no_longer_be_refreshed_are_none(book: Book) -> None:
    tokens = garmin_tokens(refreshable=timedelta(seconds=-1))
    user_id = book.sign_in(tokens=tokens).user_id
    assert book.tokens(lambda repository: repository.load(user_id)) is None


def test_deleted_tokens_are_gone(book: Book) -> None:
    anna, bob = book.sign_in().user_id, book.sign_in(BOB).user_id
    assert book.tokens(lambda repository: repository.delete(anna))
    assert book.tokens(lambda repository: repository.load(anna)) is None
    assert not book.tokens(lambda repository: repository.delete(anna))
    assert book.tokens(lambda repository: repository.load(bob)) is not None


def test_tokens_copied_to_another_person_do_not_open(book: Book) -> None:
    anna, bob = book.sign_in().user_id, book.sign_in(BOB).user_id

    def steal(session: Session) -> None:
        sealed = session.execute(
            select(GarminToken.ciphertext).where(GarminToken.user_id == anna)
        ).scalar_one()
        session.execute(
            update(GarminToken).where(GarminToken.user_id == bob).values(ciphertext=sealed)
        )

    book.database.run(steal)
    with pytest.raises(SealBrokenError):
        book.tokens(lambda repository: repository.load(bob))
    assert book.tokens(lambda repository: repository.load(anna)) is not None


def test_tokens_do_not_open_with_another_key_of_the_same_name(book: Book) -> None:
    user_id = book.sign_in().user_id
    stranger = Keyring.parse(new_key("test"))
    with pytest.raises(SealBrokenError):
        book.database.run(lambda s: TokenRepository(s, stranger).load(user_id))


def test_saving_again_seals_with_the_newest_key(book: Book) -> None:
    user_id = book.sign_in().user_id
    assert key_ids(book) == ["test"]
    old = book.keyring
    new = Keyring.parse(new_key("new"))
    book.keyring = Keyring({**new._keys, **old._keys})
    tokens = book.tokens(lambda repository: repository.load(user_id))
    assert tokens is not None
    book.tokens(lambda repository: repository.save(user_id, tokens))
    assert key_ids(book) == ["new"]
    assert book.tokens(lambda repository: repository.load(user_id)) == tokens


def key_ids(book: Book) -> list[str]:
    return list(book.database.run(lambda s: s.execute(select(GarminToken.key_id)).scalars()))


def test_a_save_that_fails_keeps_what_was_there(book: Book) -> None:
    tokens = garmin_tokens()
    user_id = book.sign_in(tokens=tokens).user_id
    with pytest.raises(IntegrityError):
        book.tokens(lambda repository: repository.save(user_id, garmin_tokens("new", driver="")))
    assert book.tokens(lambda repository: repository.load(user_id)) == tokens


# Another key


def rotated(book: Book) -> tuple[Keyring, Keyring]:
    """The new key alone, and in front of the old one."""
    new = Keyring.parse(new_key("new"))
    return new, Keyring({**new._keys, **book.keyring._keys})


def reseal(book: Book, keyring: Keyring, most: int = 100) -> int:
    return book.database.run(lambda s: SealedTokens(s, keyring).reseal(most)).sealed


def count_by_key(book: Book) -> dict[str, int]:
    return book.database.run(lambda s: SealedTokens(s, book.keyring).count_by_key())


def test_resealed_tokens_open_with_the_new_key_alone(book: Book) -> None:
    tokens = {book.sign_in(who, garmin_tokens(who.guid)).user_id: who.guid for who in (ANNA, BOB)}
    new, both = rotated(book)
    assert count_by_key(book) == {"test": 2}
    assert reseal(book, both) == 2
    assert count_by_key(book) == {"new": 2}
    assert reseal(book, both) == 0
    book.keyring = new
    kept = book.tokens(lambda repository: {of: repository.load(of) for of in tokens})
    assert {of: found and found.data.get_secret_value() for of, found in kept.items()} == tokens


def test_tokens_are_resealed_batch_by_batch(book: Book) -> None:
    for number in range(5):
        book.sign_in(GarminIdentity(guid=f"guid-{number}", display_name="Anna"))
    _, both = rotated(book)
    assert [reseal(book, both, most=2) for _ in range(4)] == [2, 2, 1, 0]


def test_tokens_that_do_not_open_stay_and_keep_no_others_from_being_sealed(book: Book) -> None:
    book.sign_in(ANNA)
    bob = book.sign_in(BOB).user_id
    _, both = rotated(book)
    book.database.run(
        lambda s: s.execute(
            update(GarminToken).where(GarminToken.user_id == bob).values(ciphertext=b"1.test.AAAA")
        )
    )
    batch = book.database.run(lambda s: SealedTokens(s, both).reseal(100))
    assert (batch.sealed, batch.broken) == (1, (bob,))
    assert count_by_key(book) == {"test": 1, "new": 1}


# A sign-in as a whole


def test_a_sign_in_is_stored_with_everything(book: Book) -> None:
    session_id, access_token, tokens = uuid.uuid4(), new_token(), garmin_tokens()
    stored = book.sign_in(ANNA, tokens, session_id, access_token)
    found = book.find(access_token)
    assert (found.session_id, found.user_id) == (session_id, stored.user_id)
    assert found.display_name == stored.display_name == "Anna"
    assert found.expires_at == stored.session_expires_at
    assert found.expires_at - found.created_at == timedelta(seconds=SESSION_TTL)
    assert found.garmin is not None
    assert (found.garmin.domain, found.garmin.driver) == ("garmin.com", "garth")
    assert found.garmin.access_expires_at == tokens.access_expires_at
    assert found.garmin.refresh_expires_at == tokens.refresh_expires_at


def test_storing_the_same_sign_in_again_changes_nothing_more(book: Book) -> None:
    session_id, access_token = uuid.uuid4(), new_token()
    first = book.sign_in(session_id=session_id, access_token=access_token)
    second = book.sign_in(session_id=session_id, access_token=access_token)
    assert first == second
    assert [book.rows(table) for table in (User, GarminToken, UserSession)] == [1, 1, 1]


def test_a_second_sign_in_replaces_the_tokens_and_leaves_other_sessions(book: Book) -> None:
    laptop, phone = new_token(), new_token()
    first = book.sign_in(access_token=laptop)
    newer = garmin_tokens("newer", driver="garminconnect")
    second = book.sign_in(tokens=newer, access_token=phone)
    assert first.user_id == second.user_id
    assert book.tokens(lambda repository: repository.load(first.user_id)) == newer
    assert book.find(laptop).user_id == book.find(phone).user_id
    assert [book.rows(table) for table in (User, GarminToken, UserSession)] == [1, 1, 2]


def test_a_new_name_at_garmin_is_taken_over(book: Book) -> None:
    access_token = new_token()
    book.sign_in(access_token=access_token)
    book.sign_in(ANNA.model_copy(update={"display_name": "Anna B."}))
    assert book.find(access_token).display_name == "Anna B."
    assert book.rows(User) == 1


def test_the_same_guid_in_the_other_garmin_is_someone_else(book: Book) -> None:
    here = book.sign_in()
    there = book.sign_in(tokens=garmin_tokens(domain=GarminDomain.CN))
    assert here.user_id != there.user_id


def test_a_session_that_cannot_be_stored_leaves_no_user_and_no_tokens(book: Book) -> None:
    access_token = new_token()
    book.sign_in(ANNA, access_token=access_token)
    with pytest.raises(ServiceUnavailableError):
        book.sign_in(BOB, access_token=access_token)  # the hash is unique
    assert [book.rows(table) for table in (User, GarminToken, UserSession)] == [1, 1, 1]
    assert book.find(access_token).display_name == "Anna"


def test_a_failure_keeps_the_tokens_of_an_earlier_sign_in(book: Book) -> None:
    access_token, tokens = new_token(), garmin_tokens()
    book.sign_in(ANNA, access_token=access_token)
    bob = book.sign_in(BOB, tokens).user_id
    with pytest.raises(ServiceUnavailableError):
        book.sign_in(BOB, garmin_tokens("newer"), access_token=access_token)
    assert book.tokens(lambda repository: repository.load(bob)) == tokens


def test_many_sign_ins_of_one_new_person_at_once_all_go_through(book: Book) -> None:
    answers = at_once(lambda _: book.sign_in(), threads=16)
    assert all(isinstance(answer, StoredSignIn) for answer in answers), answers
    assert len({answer.user_id for answer in answers if isinstance(answer, StoredSignIn)}) == 1
    assert [book.rows(table) for table in (User, GarminToken, UserSession)] == [1, 1, 16]


def test_the_same_sign_in_stored_by_many_at_once_is_one(book: Book) -> None:
    session_id, access_token = uuid.uuid4(), new_token()
    answers = at_once(
        lambda _: book.sign_in(session_id=session_id, access_token=access_token), threads=8
    )
    assert len(set(answers)) == 1
    assert isinstance(answers[0], StoredSignIn)
    assert book.rows(UserSession) == 1


def test_many_people_at_once_do_not_mix(book: Book) -> None:
    def sign_in(number: int) -> tuple[str, str]:
        access_token, name = new_token(), f"Person {number}"
        identity = GarminIdentity(guid=f"guid-{number}", display_name=name)
        book.sign_in(identity, garmin_tokens(name), access_token=access_token)
        found = book.find(access_token)
        tokens = book.tokens(lambda repository: repository.load(found.user_id))
        assert tokens is not None
        return found.display_name, tokens.data.get_secret_value()

    answers = at_once(sign_in, threads=16)
    assert answers == [(f"Person {n}", f"Person {n}") for n in range(16)]


@pytest.mark.parametrize("name", ["\u00c4nna \u8dd1 \U0001f3c3", "Robert'); DROP TABLE users;--"])
def test_any_name_is_kept_as_it_is(book: Book, name: str) -> None:
    access_token = new_token()
    book.sign_in(ANNA.model_copy(update={"display_name": name}), access_token=access_token)
    assert book.find(access_token).display_name == name


# Sessions


@pytest.fixture
def session(book: Book) -> tuple[uuid.UUID, str]:
    session_id, access_token = uuid.uuid4(), new_token()
    book.sign_in(session_id=session_id, access_token=access_token)
    assert book.find(access_token)
    return session_id, access_token


def refused(book: Book, access_token: str) -> bool:
    try:
        book.find(access_token)
    except UnauthorizedError:
        return True
    return False


@pytest.mark.parametrize("token", ["", "unknown", "\u00e9", "x" * 5000])
def test_an_unknown_access_token_is_unauthorized(book: Book, token: str) -> None:
    assert refused(book, token)


def test_the_hash_of_an_access_token_is_not_one(book: Book, session: tuple[uuid.UUID, str]) -> None:
    stored = book.database.run(lambda s: s.execute(select(UserSession.token_hash)).scalar_one())
    assert refused(book, stored)


def test_an_expired_session_is_unauthorized(book: Book, session: tuple[uuid.UUID, str]) -> None:
    book.expire_session(session[0])
    assert refused(book, session[1])


def test_a_session_that_was_logged_out_is_unauthorized(
    book: Book, session: tuple[uuid.UUID, str]
) -> None:
    other = new_token()
    book.sign_in(access_token=other)
    book.sessions(lambda sessions: sessions.end(session[0]))
    assert refused(book, session[1])
    assert not refused(book, other)


def test_logging_out_everywhere_ends_all_sessions_of_one_person(
    book: Book, session: tuple[uuid.UUID, str]
) -> None:
    anna, bob = new_token(), new_token()
    user_id = book.sign_in(access_token=anna).user_id
    book.sign_in(BOB, access_token=bob)
    book.sessions(lambda sessions: sessions.end_all(user_id))
    assert refused(book, session[1])
    assert refused(book, anna)
    assert not refused(book, bob)


def test_logging_out_twice_keeps_the_first_time(book: Book, session: tuple[uuid.UUID, str]) -> None:
    def revoked() -> datetime | None:
        return book.database.run(lambda s: s.execute(select(UserSession.revoked_at)).scalar_one())

    book.sessions(lambda sessions: sessions.end(session[0]))
    first = revoked()
    book.sessions(lambda sessions: sessions.end(session[0]))
    assert first is not None
    assert revoked() == first


@pytest.mark.parametrize("how", ["deleted", "old"])
def test_a_session_without_usable_tokens_is_not_linked(
    book: Book, session: tuple[uuid.UUID, str], how: str
) -> None:
    user_id = book.find(session[1]).user_id
    if how == "deleted":
        book.tokens(lambda repository: repository.delete(user_id))
    else:
        old = garmin_tokens(refreshable=timedelta(seconds=-1))
        book.tokens(lambda repository: repository.save(user_id, old))
    assert book.find(session[1]).garmin is None


# Secrets


def test_no_token_lies_in_the_database_in_plain_text(book: Book, database_url: str) -> None:
    access_token = new_token()
    book.sign_in(access_token=access_token)
    book.sign_in(tokens=garmin_tokens(TOKEN + " again"), access_token=new_token())
    dumped = dump(database_url)
    assert ANNA.guid.encode() in dumped
    for secret in (TOKEN, access_token):
        assert secret.encode() not in dumped
        assert secret.encode().hex().encode() not in dumped


def dump(url: str) -> bytes:
    """Every row of every table, and what SQLite has on the disk."""
    engine, tables = create_engine(url), MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        rows = [connection.execute(table.select()).all() for table in tables.sorted_tables]
    engine.dispose()
    found = repr(rows).encode()
    if database := make_url(url).database:
        files = [Path(database + suffix) for suffix in ("", "-wal")]
        found += b"".join(file.read_bytes() for file in files if file.is_file())
    return found


def test_a_database_error_does_not_show_what_was_to_be_stored(book: Book) -> None:
    insert = text("INSERT INTO no_such_table VALUES (:token)")
    with pytest.raises((ServiceUnavailableError, ProgrammingError)) as caught:
        book.database.run(lambda session: session.execute(insert, {"token": TOKEN}))
    assert TOKEN not in "".join(format_exception(caught.value))


def test_without_the_database_storing_says_so(keyring: Keyring) -> None:
    database = Database(f"postgresql+psycopg://fit:database-password@{nothing_listens()}/fit")
    with pytest.raises(ServiceUnavailableError) as caught:
        Book(database, keyring).sign_in()
    assert caught.value.what == "database"
    database.close()
