"""`fittrack-auth-admin drivers …`."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from dev.stack import new_key
from shared.audit.events import EventKind
from shared.audit.outbox import EventOutbox
from shared.errors import RefusalScope
from shared.redis.connection import Redis, connect
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.driver_keys import DriverUse
from tests.admin.conftest import Result, Run
from tests.cooldowns import end_rest, refuse
from tests.shared.samples import nothing_listens

_AWAKE = {"status": "awake", "everybody": None, "accounts_waiting": 0, "accounts_until": None}


@pytest.fixture
def admin(run: Run, real_redis_url: str) -> Run:
    """No database is needed."""
    settings = {
        "REDIS_URL": real_redis_url,
        "DATABASE_URL": f"postgresql+psycopg://x:x@{nothing_listens()}/x",
        "ENCRYPTION_KEYS": new_key("admin"),
    }
    return lambda *arguments, **changes: run("drivers", *arguments, **settings | changes)


@pytest.fixture
def redis(real_redis_url: str) -> Iterator[Redis]:
    with connect(real_redis_url, timeout=30) as client:
        yield client


@pytest.fixture
def cooldowns(redis: Redis) -> DriverCooldowns:
    return DriverCooldowns(redis)


def stdout(result: Result) -> str:
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


def test_drivers_that_nobody_refused_are_awake(admin: Run) -> None:
    assert stdout(admin("list")) == stdout(admin()) == "garth\tawake\ngarminconnect\tawake"
    assert stdout(admin("list", GARMIN_DRIVERS="garth")) == "garth\tawake"


def test_a_rest_is_listed_with_its_times_and_its_cause(
    admin: Run, cooldowns: DriverCooldowns
) -> None:
    refuse(cooldowns, "garth", 600, account="0123abcd")
    refuse(cooldowns, "garminconnect", 900, account="0123abcd", scope=RefusalScope.ACCOUNT)
    text = stdout(admin("list"))
    assert stdout(admin()) == text
    garth, other = text.splitlines()
    assert garth.startswith("garth\tresting\teverybody: since 20")
    assert "(client)\taccounts waiting: 1, until 20" in garth
    assert other.startswith("garminconnect\tawake\taccounts waiting: 1, until 20")
    assert "0123abcd" not in text


def test_the_list_is_also_json(admin: Run, cooldowns: DriverCooldowns) -> None:
    refuse(cooldowns, "garth", 600)
    text = stdout(admin("--json"))
    assert stdout(admin("list", "--json")) == text
    garth, other = [json.loads(line) for line in text.splitlines()]
    rest = garth.pop("everybody")
    since, until = (datetime.fromisoformat(rest[name]) for name in ("since", "until"))
    assert until - since == timedelta(seconds=600)
    assert rest["why"] == "client"
    assert garth == {
        "driver": "garth",
        "status": "resting",
        "accounts_waiting": 1,
        "accounts_until": rest["until"],
        "refreshes": _AWAKE,
    }
    assert other == {"driver": "garminconnect", **_AWAKE, "refreshes": _AWAKE}


def test_rests_of_refreshes_are_listed_apart(admin: Run, redis: Redis) -> None:
    refuse(DriverCooldowns(redis, use=DriverUse.REFRESH), "garminconnect", 600, account="token-id")
    garth, sign_ins, refreshes = stdout(admin("list")).splitlines()
    assert (garth, sign_ins) == ("garth\tawake", "garminconnect\tawake")
    assert refreshes.startswith("garminconnect, refreshes\tresting\teverybody: since 20")
    assert "(client)\taccounts waiting: 1, until 20" in refreshes
    other = json.loads(stdout(admin("--json")).splitlines()[1])
    assert (other["status"], other["refreshes"]["status"]) == ("awake", "resting")


def test_a_library_that_only_refreshes_is_listed_while_it_rests(admin: Run, redis: Redis) -> None:
    only = {"GARMIN_DRIVERS": "garth"}
    assert "garminconnect" not in stdout(admin("--json", **only))
    refuse(DriverCooldowns(redis, use=DriverUse.REFRESH), "garminconnect", 600)
    assert stdout(admin("list", **only)).splitlines()[1].startswith("garminconnect, refreshes\t")
    other = json.loads(stdout(admin("--json", **only)).splitlines()[1])
    assert (other["status"], other["refreshes"]["status"]) == ("unused", "resting")


def test_a_driver_whose_rest_is_over_waits_for_a_probe(
    admin: Run, cooldowns: DriverCooldowns, redis: Redis
) -> None:
    refuse(cooldowns)
    end_rest(redis)
    assert json.loads(stdout(admin("--json")).splitlines()[0])["status"] == "probing"


def test_a_driver_is_woken_for_everybody_and_for_accounts(
    admin: Run, cooldowns: DriverCooldowns
) -> None:
    for driver in ("garth", "garminconnect"):
        refuse(cooldowns, driver)
        refuse(cooldowns, driver, account="bob", scope=RefusalScope.ACCOUNT)
    assert stdout(admin("wake", "garth")) == "garth is awake"
    for account in ("anna", "bob", "carl"):
        assert cooldowns.remaining("garth", account) == 0
        assert cooldowns.remaining("garminconnect", account) > 0


def test_waking_also_wakes_refreshes_and_is_in_the_audit_log(admin: Run, redis: Redis) -> None:
    cooldowns = DriverCooldowns(redis, use=DriverUse.REFRESH)
    refuse(cooldowns, "garth")
    stdout(admin("wake", "garth"))
    assert cooldowns.remaining("garth", "anna") == cooldowns.remaining("garth") == 0
    [(_, event)] = EventOutbox(redis).oldest(10)
    assert event is not None
    assert (event.kind, event.outcome) == (EventKind.DRIVER_WOKEN, "garth")


def test_only_a_driver_can_be_woken(admin: Run) -> None:
    result = admin("wake", "nobody")
    assert result.exit_code == 2
    assert "must be garth or garminconnect" in result.stderr


def test_without_redis_the_command_says_so(admin: Run) -> None:
    result = admin("list", REDIS_URL=f"redis://{nothing_listens()}/0")
    assert result.exit_code == 3
    assert "redis does not answer" in result.stderr
