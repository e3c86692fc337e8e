"""A sign-in is stored as a whole or not at all, and once."""

import uuid
from datetime import timedelta
from traceback import format_exception

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from shared.accounts.accounts import StoredSignIn
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.models import GarminToken, User, UserSession
from shared.errors import ServiceUnavailableError
from shared.garmin.types import GarminDomain, GarminIdentity
from tests.shared.accounts.conftest import SESSION_TTL, Repositories
from tests.shared.samples import (
    ANNA,
    BOB,
    TOKEN,
    at_once,
    garmin_tokens,
    nothing_listens,
)


def test_a_sign_in_stores_user_tokens_and_session(repos: Repositories) -> None:
    session_id, access_token, tokens = uuid.uuid4(), new_token(), garmin_tokens()
    stored = repos.sign_in(ANNA, tokens, session_id, access_token)
    session = repos.find_session(access_token)
    assert (session.session_id, session.user_id) == (session_id, stored.user_id)
    assert session.display_name == stored.display_name == "Anna"
    assert session.expires_at == stored.session_expires_at
    assert session.expires_at - session.created_at == timedelta(seconds=SESSION_TTL)
    assert session.garmin is not None
    assert (session.garmin.domain, session.garmin.driver) == ("garmin.com", "garth")
    assert session.garmin.access_expires_at == tokens.access_expires_at
    assert session.garmin.refresh_expires_at == tokens.refresh_expires_at


def test_storing_a_sign_in_twice_changes_nothing(repos: Repositories) -> None:
    session_id, access_token = uuid.uuid4(), new_token()
    first = repos.sign_in(session_id=session_id, access_token=access_token)
    second = repos.sign_in(session_id=session_id, access_token=access_token)
    assert first == second
    assert repos.count(User, GarminToken, UserSession) == [1, 1, 1]


def test_a_second_sign_in_replaces_the_tokens_and_keeps_other_sessions(
    repos: Repositories,
) -> None:
    laptop, phone = new_token(), new_token()
    first = repos.sign_in(access_token=laptop)
    newer = garmin_tokens("newer", driver="garminconnect")
    second = repos.sign_in(tokens=newer, access_token=phone)
    assert first.user_id == second.user_id
    assert repos.load_tokens(first.user_id) == newer
    assert repos.find_session(laptop).user_id == repos.find_session(phone).user_id
    assert repos.count(User, GarminToken, UserSession) == [1, 1, 2]


def test_a_sign_in_updates_the_display_name(repos: Repositories) -> None:
    access_token = new_token()
    repos.sign_in(access_token=access_token)
    repos.sign_in(ANNA.model_copy(update={"display_name": "Anna B."}))
    assert repos.find_session(access_token).display_name == "Anna B."
    assert repos.count(User) == [1]


def test_a_sign_in_without_a_name_keeps_the_stored_one(repos: Repositories) -> None:
    repos.sign_in()
    stored = repos.sign_in(ANNA.model_copy(update={"display_name": None}))
    assert stored.display_name == "Anna"


def test_a_person_whose_name_is_not_known_gets_one_that_says_nothing(repos: Repositories) -> None:
    access_token = new_token()
    repos.sign_in(ANNA.model_copy(update={"display_name": None}), access_token=access_token)
    assert repos.find_session(access_token).display_name == "Garmin user"
    repos.sign_in()
    assert repos.find_session(access_token).display_name == "Anna"


def test_the_same_guid_in_another_domain_is_another_user(repos: Repositories) -> None:
    here = repos.sign_in()
    there = repos.sign_in(tokens=garmin_tokens(domain=GarminDomain.CN))
    assert here.user_id != there.user_id


def test_a_sign_in_whose_session_fails_stores_nothing(repos: Repositories) -> None:
    access_token = new_token()
    repos.sign_in(ANNA, access_token=access_token)
    with pytest.raises(ServiceUnavailableError):
        repos.sign_in(BOB, access_token=access_token)  # the hash is unique
    assert repos.count(User, GarminToken, UserSession) == [1, 1, 1]
    assert repos.find_session(access_token).display_name == "Anna"


def test_a_failed_sign_in_keeps_the_earlier_tokens(repos: Repositories) -> None:
    access_token, tokens = new_token(), garmin_tokens()
    repos.sign_in(ANNA, access_token=access_token)
    bob = repos.sign_in(BOB, tokens).user_id
    with pytest.raises(ServiceUnavailableError):
        repos.sign_in(BOB, garmin_tokens("newer"), access_token=access_token)
    assert repos.load_tokens(bob) == tokens


def test_concurrent_first_sign_ins_of_a_user_all_succeed(repos: Repositories) -> None:
    answers = at_once(lambda _: repos.sign_in(), threads=16)
    assert all(isinstance(answer, StoredSignIn) for answer in answers), answers
    assert len({answer.user_id for answer in answers if isinstance(answer, StoredSignIn)}) == 1
    assert repos.count(User, GarminToken, UserSession) == [1, 1, 16]


def test_concurrent_stores_of_one_sign_in_open_one_session(repos: Repositories) -> None:
    session_id, access_token = uuid.uuid4(), new_token()
    answers = at_once(
        lambda _: repos.sign_in(session_id=session_id, access_token=access_token), threads=8
    )
    assert len(set(answers)) == 1
    assert isinstance(answers[0], StoredSignIn)
    assert repos.count(UserSession) == [1]


def test_concurrent_sign_ins_of_different_users_do_not_mix(repos: Repositories) -> None:
    def sign_in(number: int) -> tuple[str, str]:
        access_token, name = new_token(), f"Person {number}"
        identity = GarminIdentity(guid=f"guid-{number}", display_name=name)
        repos.sign_in(identity, garmin_tokens(name), access_token=access_token)
        session = repos.find_session(access_token)
        tokens = repos.load_tokens(session.user_id)
        assert tokens is not None
        return session.display_name, tokens.data.get_secret_value()

    answers = at_once(sign_in, threads=16)
    assert answers == [(f"Person {n}", f"Person {n}") for n in range(16)]


@pytest.mark.parametrize("name", ["\u00c4nna \u8dd1 \U0001f3c3", "Robert'); DROP TABLE users;--"])
def test_a_display_name_is_stored_unchanged(repos: Repositories, name: str) -> None:
    access_token = new_token()
    repos.sign_in(ANNA.model_copy(update={"display_name": name}), access_token=access_token)
    assert repos.find_session(access_token).display_name == name


def test_a_database_error_does_not_show_parameters(repos: Repositories) -> None:
    insert = text("INSERT INTO no_such_table VALUES (:token)")
    with pytest.raises((ServiceUnavailableError, ProgrammingError)) as caught:
        repos.database.run(lambda session: session.execute(insert, {"token": TOKEN}))
    assert TOKEN not in "".join(format_exception(caught.value))


def test_storing_without_the_database_raises_service_unavailable(keyring: Keyring) -> None:
    database = Database(f"postgresql+psycopg://fit:database-password@{nothing_listens()}/fit")
    with pytest.raises(ServiceUnavailableError) as caught:
        Repositories(database, keyring).sign_in()
    assert caught.value.what == "database"
    database.close()
