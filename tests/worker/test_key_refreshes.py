"""Refreshes of connections by Personal API key: a refusal is believed when it is said twice."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from dev.short import SHORT
from dev.simulator import Simulator
from shared.accounts.accounts import Accounts
from shared.accounts.states import ConnectionState, Method, StateReason
from shared.accounts.tokens import StoredTokens, TokenRepository
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.models import AuthEvent, GarminToken
from shared.errors import ServiceUnavailableError
from shared.garmin.access import access_token
from shared.jobs.states import JobKind, RefreshRequest
from shared.redis.connection import Redis
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.driver_keys import DriverUse
from shared.redis.key_refusals import KeyRefusals
from shared.timings import PRODUCTION
from tests.shared.jobs.both_sides import Jobs
from tests.worker.test_personal_api import imported
from tests.worker.ways import ALWAYS
from worker.drivers.http import GarminAdapter
from worker.drivers.personal_api import DRIVER, PersonalApiDriver
from worker.handlers.refresh import RefreshHandler
from worker.lease import LeaseKeeper
from worker.marks import RunMarks
from worker.runner import JobRunner
from worker.shares import ThreadShares

ANNA = "plain-anna@example.com"
RECHECK = int(PRODUCTION.key_recheck)
DAY_S = 86_400


@dataclass
class Service:
    """One worker. Every call of `refresh` is a worker that has just started."""

    redis: Redis
    keyring: Keyring
    database: Database
    garmin: Simulator
    driver: PersonalApiDriver

    def __post_init__(self) -> None:
        self.jobs = Jobs(self.redis, self.keyring, 900, SHORT)
        self.cooldowns = DriverCooldowns(self.redis, SHORT, DriverUse.REFRESH)
        self.accounts = Accounts(self.database, self.keyring, 3600)

    def connect(self, key: str) -> uuid.UUID:
        """Exchange a key, and store whose it is; return the row's id."""
        tokens = self.driver.refresh(imported(key), ALWAYS)
        identity = self.driver.identify(tokens, ALWAYS)
        session = SecretStr(new_token())
        method = Method.PERSONAL_API_KEY
        stored = self.accounts.store(identity, tokens, uuid.uuid4(), session, method=method)
        of_user = select(GarminToken.id).where(GarminToken.user_id == stored.user_id)
        return self.database.run(lambda s: s.scalars(of_user).one())

    def stored(self, token_id: uuid.UUID) -> StoredTokens:
        return self.database.run(
            lambda s: TokenRepository(s, self.keyring).open(s.get_one(GarminToken, token_id))
        )

    def due_in(self, token_id: uuid.UUID) -> timedelta:
        row = self.database.run(lambda s: s.get_one(GarminToken, token_id))
        return row.refresh_due_at - datetime.now(UTC)

    def refresh(self, token_id: uuid.UUID) -> str:
        handler = RefreshHandler(
            {DRIVER: self.driver},
            self.cooldowns,
            KeyRefusals(self.redis),
            self.database,
            self.keyring,
        )
        runner = JobRunner(
            claims=self.jobs,
            keeper=LeaseKeeper(self.jobs, SHORT),
            marks=RunMarks(self.database),
            handlers={JobKind.REFRESH: handler},
            shares=ThreadShares(32, 25, 75),
            timings=SHORT,
        )
        work = RefreshRequest(token_id=token_id, generation=self.stored(token_id).generation)
        return runner.run(self.jobs.create(self.jobs.new_id(), JobKind.REFRESH, work).job_id)

    def pass_time(self, seconds: int) -> None:
        """Let time pass for what Redis knows of the refusals."""
        for key in self.redis.scan_iter("fittrack:key-refused:*"):
            self.redis.pexpire(key, self.redis.pttl(key) - 1000 * seconds)
        rest = f"fittrack:refresh-rest:{DRIVER}:account:*"
        for key in self.redis.scan_iter(rest):
            ends = int(self.redis.hget(key, "until") or 0)
            self.redis.hset(key, "until", ends - 1000 * seconds)

    def changes(self) -> list[str]:
        rows = self.database.run(lambda s: list(s.scalars(select(AuthEvent))))
        return [event.outcome for event in rows if event.kind == "state_changed"]


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    yield database
    database.close()


@pytest.fixture
def service(
    redis: Redis,
    keyring: Keyring,
    database: Database,
    reached_garmin: Simulator,
    adapter: GarminAdapter,
) -> Service:
    return Service(redis, keyring, database, reached_garmin, PersonalApiDriver(adapter))


def test_a_key_is_exchanged_again(service: Service) -> None:
    anna = service.connect(f"key-{ANNA}")
    before = service.stored(anna)
    assert service.refresh(anna) == "succeeded"
    after = service.stored(anna)
    assert (after.method, after.generation) == (Method.PERSONAL_API_KEY, before.generation + 1)
    assert access_token(after.tokens) != access_token(before.tokens)
    assert after.standing.state is ConnectionState.ACTIVE


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_refused_twice_ten_minutes_apart_is_revoked(service: Service, status: int) -> None:
    anna = service.connect(f"key-{ANNA}")
    service.garmin.configure(dead_key_status=status)
    service.garmin.revoke_keys(ANNA)
    assert service.refresh(anna) == "garmin_unavailable"
    assert service.stored(anna).standing.state is ConnectionState.ACTIVE
    assert timedelta(seconds=RECHECK - 60) < service.due_in(anna) <= timedelta(seconds=RECHECK)
    service.pass_time(RECHECK)
    assert service.refresh(anna) == "tokens_rejected"
    standing = service.stored(anna).standing
    assert standing.state is ConnectionState.SIGN_IN_REQUIRED
    assert standing.reason is StateReason.KEY_REVOKED
    assert service.changes() == ["key_revoked"]


def test_a_refused_key_is_not_sent_again_within_ten_minutes(service: Service) -> None:
    anna = service.connect(f"key-{ANNA}")
    service.garmin.revoke_keys(ANNA)
    service.refresh(anna)
    sent = service.garmin.counters()
    assert RECHECK - 60 < service.cooldowns.remaining(DRIVER, str(anna)) <= RECHECK
    service.pass_time(RECHECK - 60)
    assert service.refresh(anna) == "garmin_rate_limited"
    assert service.garmin.counters() == sent


def test_refusals_that_follow_closely_count_as_one(service: Service) -> None:
    anna = service.connect(f"key-{ANNA}")
    service.garmin.revoke_keys(ANNA)
    service.refresh(anna)
    service.pass_time(RECHECK - 60)
    for _ in range(3):
        end_account_rests_of_refreshes(service.redis)  # as `fittrack-auth-admin drivers wake` does
        assert service.refresh(anna) == "garmin_unavailable"
    assert service.stored(anna).standing.state is ConnectionState.ACTIVE
    assert service.due_in(anna) <= timedelta(seconds=60)
    service.pass_time(60)
    assert service.refresh(anna) == "tokens_rejected"


def test_an_exchange_between_two_refusals_makes_them_two_first_ones(service: Service) -> None:
    anna = service.connect(f"key-{ANNA}")
    path = "/personalapitoken-service/personal-api/personal-api-key/token"
    refusal = {"kind": "json", "status": 401, "body": {"error": "no"}, "path": path}
    for refused in (True, False, True):
        service.garmin.configure(faults=[refusal] if refused else [])
        result = service.refresh(anna)
        assert result == ("garmin_unavailable" if refused else "succeeded")
        service.pass_time(RECHECK)
    assert service.stored(anna).standing.state is ConnectionState.ACTIVE


def test_a_refusal_that_can_not_be_noted_is_not_believed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = service.connect(f"key-{ANNA}")
    service.garmin.revoke_keys(ANNA)
    service.refresh(anna)
    service.pass_time(RECHECK)

    def away(*_: object) -> int:
        raise ServiceUnavailableError("redis")

    with monkeypatch.context() as patch:
        patch.setattr(KeyRefusals, "note", away)
        assert service.refresh(anna) == "garmin_unavailable"
    assert service.stored(anna).standing.state is ConnectionState.ACTIVE


def test_revoked_keys_stop_nobody_elses(service: Service) -> None:
    names = [f"plain-{number}@example.com" for number in range(4)]
    rows = [service.connect(f"key-{name}") for name in names]
    bob = service.connect("key-plain-bob@example.com")
    for name, row in zip(names, rows, strict=True):
        service.garmin.revoke_keys(name)
        service.refresh(row)
    assert service.cooldowns.remaining(DRIVER) == 0
    assert service.refresh(bob) == "succeeded"


@pytest.mark.parametrize(("status", "result"), [(429, "garmin_rate_limited"), (503, None)])
def test_nothing_else_says_that_a_key_is_revoked(
    service: Service, status: int, result: str | None
) -> None:
    anna = service.connect(f"key-{ANNA}")
    service.garmin.configure(refuse={"personal": {"status": status, "retry_after": 500}})
    for _ in range(3):
        assert service.refresh(anna) in (result, "garmin_unavailable", "garmin_rate_limited")
        service.pass_time(RECHECK)
    assert service.stored(anna).standing.state is ConnectionState.ACTIVE
    assert not list(service.redis.scan_iter("fittrack:key-refused:*"))


def test_a_retry_after_stops_refreshes_of_this_key_alone(service: Service) -> None:
    anna = service.connect(f"key-{ANNA}")
    service.garmin.configure(refuse={"personal": {"status": 429, "retry_after": 500}})
    assert service.refresh(anna) == "garmin_rate_limited"
    assert 400 < service.cooldowns.remaining(DRIVER, str(anna)) <= 500
    assert service.cooldowns.remaining(DRIVER) == 0
    assert DriverCooldowns(service.redis).remaining(DRIVER, str(anna)) == 0


def test_a_new_key_ends_a_required_sign_in(service: Service) -> None:
    anna = service.connect(f"key-{ANNA}")
    service.garmin.revoke_keys(ANNA)
    service.refresh(anna)
    service.pass_time(RECHECK)
    service.refresh(anna)
    assert service.connect(service.garmin.make_key(ANNA)) == anna
    assert service.stored(anna).standing.state is ConnectionState.ACTIVE
    assert service.refresh(anna) == "succeeded"


def test_a_key_whose_end_is_known_is_expiring_and_looked_at_before_it_ends(
    service: Service,
) -> None:
    anna = service.connect(service.garmin.make_key(ANNA, days=1.5))
    assert service.stored(anna).standing.state is ConnectionState.ACTIVE
    service.garmin.advance_clock(DAY_S)  # Garmin's clock, not this process's
    assert service.refresh(anna) == "succeeded"
    assert service.stored(anna).standing.state is ConnectionState.EXPIRING
    assert service.changes() == ["expiring"]
    tokens = service.stored(anna).tokens
    assert tokens.access_expires_at == tokens.refresh_expires_at
    assert service.due_in(anna) < tokens.refresh_expires_at - datetime.now(UTC)


def end_account_rests_of_refreshes(redis: Redis) -> None:
    for key in redis.scan_iter(f"fittrack:refresh-rest:{DRIVER}:account:*"):
        redis.hset(key, "until", 1)
