"""The state of connections, and when they are refreshed without being asked for."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.accounts.states import (
    Access,
    ConnectionState,
    Method,
    Standing,
    StateReason,
    refresh_due_at,
    standing,
)
from shared.accounts.tokens import current_standing
from shared.database.models import GarminToken
from tests.shared.accounts.conftest import Repositories
from tests.shared.samples import garmin_tokens

NOW = datetime.now(UTC)
ACTIVE = Standing(ConnectionState.ACTIVE, None, NOW - timedelta(days=100))


def day(number: float) -> timedelta:
    return timedelta(days=number)


@pytest.mark.parametrize(
    ("driver", "left", "expected"),
    [
        ("garth", day(14), ACTIVE),
        ("garth", day(13), Standing(ConnectionState.EXPIRING, None, NOW - day(1))),
        ("personal_api", day(13), Standing(ConnectionState.EXPIRING, None, NOW - day(1))),
        ("garminconnect", day(1), ACTIVE),
        (
            "garth",
            -day(2),
            Standing(ConnectionState.SIGN_IN_REQUIRED, StateReason.EXPIRED, NOW - day(2)),
        ),
        (
            "garminconnect",
            day(0),
            Standing(ConnectionState.SIGN_IN_REQUIRED, StateReason.EXPIRED, NOW),
        ),
    ],
)
def test_the_state_follows_what_can_be_renewed(
    driver: str, left: timedelta, expected: Standing
) -> None:
    assert standing(ACTIVE, driver, NOW + left, NOW) == expected


def test_a_required_sign_in_stays_required() -> None:
    rejected = Standing(ConnectionState.SIGN_IN_REQUIRED, StateReason.REJECTED, NOW - day(3))
    assert standing(rejected, "garth", NOW + day(300), NOW) == rejected
    assert standing(rejected, "garth", NOW - day(1), NOW) == rejected


@pytest.mark.parametrize(("driver", "left"), [("garminconnect", 30), ("personal_api", 365)])
def test_rotating_tokens_and_keys_are_refreshed_within_a_week_and_not_all_at_once(
    driver: str, left: int
) -> None:
    dues = [refresh_due_at(driver, NOW + day(left), NOW) - NOW for _ in range(200)]
    assert min(dues) >= day(6.3)
    assert max(dues) <= day(7)
    assert max(dues) - min(dues) > day(0.3)


@pytest.mark.parametrize("driver", ["garminconnect", "garth"])
def test_the_last_third_of_the_renewable_time_is_not_waited_for(driver: str) -> None:
    due = refresh_due_at(driver, NOW + day(9), NOW)
    assert day(5.4) <= due - NOW <= day(6)


def test_a_change_of_state_is_not_missed() -> None:
    assert refresh_due_at("garth", NOW + day(17), NOW) == NOW + day(3)
    assert refresh_due_at("garth", NOW + day(0.5), NOW) == NOW + day(0.5)
    assert refresh_due_at("garminconnect", NOW + day(0.5), NOW) == NOW + day(0.5)


def test_a_key_that_ends_soon_is_exchanged_until_shortly_before() -> None:
    assert day(0.6) - day(0.06) <= refresh_due_at("personal_api", NOW + day(0.9), NOW) - NOW
    assert refresh_due_at("personal_api", NOW + day(0.9), NOW) - NOW <= day(0.6)
    two_hours = day(2 / 24)
    wait = refresh_due_at("personal_api", NOW + two_hours, NOW) - NOW
    assert day(1 / 24) <= wait < two_hours
    assert refresh_due_at("personal_api", NOW + day(0.5 / 24), NOW) - NOW == day(0.5 / 24)


def rows(repos: Repositories) -> dict[str, GarminToken]:
    return repos.database.run(lambda s: {row.access: row for row in s.scalars(select(GarminToken))})


def test_a_sign_in_begins_a_generation_and_ends_a_required_one(repos: Repositories) -> None:
    repos.sign_in()
    [row] = rows(repos).values()
    assert (row.generation, row.method, row.state) == (1, Method.PASSWORD, ConnectionState.ACTIVE)

    def reject(session: Session) -> None:
        token = session.get_one(GarminToken, row.id)
        token.state, token.state_reason = "sign_in_required", "rejected"
        token.refresh_begun = 1

    repos.database.run(reject)
    repos.sign_in()
    [again] = rows(repos).values()
    assert (again.id, again.generation, again.refresh_begun) == (row.id, 2, None)
    assert current_standing(again, datetime.now(UTC)).state is ConnectionState.ACTIVE
    assert again.state_reason is None


def test_a_key_and_a_password_live_side_by_side(repos: Repositories) -> None:
    user_id = repos.sign_in(tokens=garmin_tokens("password")).user_id
    key = garmin_tokens("key", driver="personal_api")
    repos.tokens(lambda tokens: tokens.save(user_id, key, Method.PERSONAL_API_KEY))
    assert rows(repos).keys() == {Access.READ_WRITE, Access.READ}
    loaded = repos.load_tokens(user_id)
    assert loaded is not None
    assert loaded.data.get_secret_value() == "password"
