"""User sessions: which access tokens are valid."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from shared.crypto.tokens import new_token
from shared.database.models import UserSession
from tests.shared.accounts.conftest import Repositories
from tests.shared.samples import (
    BOB,
    garmin_tokens,
)


@pytest.fixture
def session(repos: Repositories) -> tuple[uuid.UUID, str]:
    session_id, access_token = uuid.uuid4(), new_token()
    repos.sign_in(session_id=session_id, access_token=access_token)
    assert repos.find_session(access_token)
    return session_id, access_token


@pytest.mark.parametrize("token", ["", "unknown", "\u00e9", "x" * 5000])
def test_an_unknown_access_token_is_unauthorized(repos: Repositories, token: str) -> None:
    assert not repos.is_valid(token)


def test_the_hash_of_an_access_token_is_not_accepted(
    repos: Repositories, session: tuple[uuid.UUID, str]
) -> None:
    stored = repos.database.run(lambda s: s.execute(select(UserSession.token_hash)).scalar_one())
    assert not repos.is_valid(stored)


def test_an_expired_session_is_unauthorized(
    repos: Repositories, session: tuple[uuid.UUID, str]
) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=2)
    expired = {"created_at": long_ago, "expires_at": long_ago + timedelta(days=1)}
    repos.database.run(lambda s: s.execute(update(UserSession).values(**expired)))
    assert not repos.is_valid(session[1])


def test_a_logged_out_session_is_unauthorized(
    repos: Repositories, session: tuple[uuid.UUID, str]
) -> None:
    other = new_token()
    repos.sign_in(access_token=other)
    repos.sessions(lambda sessions: sessions.end(session[0]))
    assert not repos.is_valid(session[1])
    assert repos.is_valid(other)


def test_logging_out_everywhere_ends_all_sessions_of_that_user(
    repos: Repositories, session: tuple[uuid.UUID, str]
) -> None:
    anna, bob = new_token(), new_token()
    user_id = repos.sign_in(access_token=anna).user_id
    repos.sign_in(BOB, access_token=bob)
    repos.sessions(lambda sessions: sessions.end_all(user_id))
    assert not repos.is_valid(session[1])
    assert not repos.is_valid(anna)
    assert repos.is_valid(bob)


def test_logging_out_twice_keeps_the_first_time(
    repos: Repositories, session: tuple[uuid.UUID, str]
) -> None:
    def revoked() -> datetime | None:
        return repos.database.run(lambda s: s.execute(select(UserSession.revoked_at)).scalar_one())

    repos.sessions(lambda sessions: sessions.end(session[0]))
    first = revoked()
    repos.sessions(lambda sessions: sessions.end(session[0]))
    assert first is not None
    assert revoked() == first


@pytest.mark.parametrize("case", ["deleted", "expired"])
def test_a_session_without_usable_tokens_is_not_linked(
    repos: Repositories, session: tuple[uuid.UUID, str], case: str
) -> None:
    user_id = repos.find_session(session[1]).user_id
    if case == "deleted":
        repos.tokens(lambda tokens: tokens.delete(user_id))
    else:
        expired = garmin_tokens(refreshable=timedelta(seconds=-1))
        repos.tokens(lambda tokens: tokens.save(user_id, expired))
    garmin = repos.find_session(session[1]).garmin
    assert garmin is None or not garmin.linked
