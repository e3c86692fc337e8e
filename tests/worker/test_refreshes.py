"""Refreshes lose nothing: whatever Garmin says, whoever dies, whoever signs in meanwhile."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from dev.short import SHORT
from shared.accounts.accounts import Accounts
from shared.accounts.states import ConnectionState, StateReason
from shared.accounts.tokens import StoredTokens, TokenRepository
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.models import AuthEvent, GarminToken
from shared.errors import (
    ClientRefusedError,
    GarminRateLimitedError,
    GarminUnavailableError,
    GarminUnreachableError,
    ServiceUnavailableError,
    SignInInProgressError,
    TokensRejectedError,
)
from shared.garmin.types import GarminTokens
from shared.jobs.states import JobKind, JobStage, RefreshRequest
from shared.redis.connection import Redis
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.driver_keys import DriverUse
from shared.redis.key_refusals import KeyRefusals
from tests.shared.jobs.both_sides import Jobs
from tests.shared.samples import ANNA, garmin_tokens
from tests.worker.scripted import ScriptedDriver
from worker.drivers.driver import Permit
from worker.handlers.refresh import RefreshHandler, RefreshProgress
from worker.lease import LeaseKeeper
from worker.marks import RunMarks
from worker.run import PostponedError, Run
from worker.runner import JobRunner
from worker.shares import ThreadShares

DRIVER = "garminconnect"


@dataclass
class RefreshingDriver(ScriptedDriver):
    """Answers each refresh with the next of `answers`: an error, tokens, or what a call returns."""

    answers: list[Exception | GarminTokens | Callable[[], GarminTokens]] = field(
        default_factory=list
    )
    sent: list[str] = field(default_factory=list)

    def refresh(self, tokens: GarminTokens, permit: Permit) -> GarminTokens:
        permit.check()
        self.sent.append(tokens.data.get_secret_value())
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, GarminTokens) else answer()


@dataclass
class Service:
    """One worker, and the tokens of Anna."""

    redis: Redis
    keyring: Keyring
    database: Database

    def __post_init__(self) -> None:
        self.jobs = Jobs(self.redis, self.keyring, 900, SHORT)
        self.driver = RefreshingDriver(DRIVER)
        self.cooldowns = DriverCooldowns(self.redis, SHORT, DriverUse.REFRESH)
        self.accounts = Accounts(self.database, self.keyring, 3600)
        self.sign_in("old")

    def runner(self, database: Database | None = None) -> JobRunner:
        handler = RefreshHandler(
            {DRIVER: self.driver},
            self.cooldowns,
            KeyRefusals(self.redis, SHORT),
            database or self.database,
            self.keyring,
        )
        return JobRunner(
            claims=self.jobs,
            keeper=LeaseKeeper(self.jobs, SHORT),
            marks=RunMarks(self.database),
            handlers={JobKind.REFRESH: handler},
            shares=ThreadShares(32, 25, 75),
            timings=SHORT,
        )

    def sign_in(self, data: str) -> None:
        tokens = garmin_tokens(data, driver=DRIVER, refreshable=timedelta(days=30))
        self.accounts.store(ANNA, tokens, uuid.uuid4(), SecretStr(new_token()))

    @property
    def row(self) -> GarminToken:
        return self.database.run(lambda s: s.scalars(select(GarminToken)).one())

    @property
    def stored(self) -> StoredTokens:
        return self.database.run(
            lambda s: TokenRepository(s, self.keyring).open(s.scalars(select(GarminToken)).one())
        )

    def submit(self) -> str:
        row = self.row
        work = RefreshRequest(token_id=row.id, generation=row.generation)
        return self.jobs.create(self.jobs.new_id(), JobKind.REFRESH, work).job_id

    def refresh(self, *answers: Exception | GarminTokens | Callable[[], GarminTokens]) -> str:
        """Run a refresh job that Garmin answers so; return its result code."""
        self.driver.answers = list(answers)
        result = self.runner().run(self.submit())
        assert not self.driver.answers, "Garmin was asked less often"
        return result

    def events(self) -> list[str]:
        rows = self.database.run(lambda s: list(s.scalars(select(AuthEvent))))
        return [event.outcome for event in rows if event.kind == "state_changed"]


@pytest.fixture
def service(redis: Redis, keyring: Keyring, database: Database) -> Service:
    return Service(redis, keyring, database)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def new(data: str = "new") -> GarminTokens:
    return garmin_tokens(data, driver=DRIVER, refreshable=timedelta(days=30))


LOST = GarminUnreachableError()


def test_a_refresh_is_stored_as_the_next_generation(service: Service) -> None:
    assert service.refresh(new()) == "succeeded"
    assert (service.row.generation, service.row.refresh_begun) == (2, None)
    assert service.stored.tokens.data.get_secret_value() == "new"
    assert service.row.refresh_due_at > datetime.now(UTC) + timedelta(days=6)


def test_a_refresh_is_written_down_before_garmin_is_asked(service: Service) -> None:
    seen: list[int | None] = []

    def answer() -> GarminTokens:
        seen.append(service.row.refresh_begun)
        return new()

    service.refresh(answer)
    assert seen == [1]


def test_one_refresh_of_the_same_tokens_runs_at_a_time(service: Service) -> None:
    job_id = service.submit()
    with pytest.raises(SignInInProgressError) as busy:
        service.submit()
    assert busy.value.job_id == job_id
    service.driver.answers = [new()]
    service.runner().run(job_id)
    service.submit()


def test_an_outdated_refresh_asks_nothing(service: Service) -> None:
    job_id = service.submit()
    service.sign_in("newer")
    assert service.runner().run(job_id) == "succeeded"
    assert service.driver.sent == []
    assert service.stored.tokens.data.get_secret_value() == "newer"


def test_a_sign_in_that_finishes_during_a_refresh_wins(service: Service) -> None:
    def answer() -> GarminTokens:
        service.sign_in("newer")
        return new("from the old one")

    assert service.refresh(answer) == "succeeded"
    assert service.stored.tokens.data.get_secret_value() == "newer"
    assert service.row.generation == 2


def test_a_rejection_of_tokens_that_a_sign_in_has_replaced_is_not_believed(
    service: Service,
) -> None:
    def answer() -> GarminTokens:
        service.sign_in("newer")
        raise TokensRejectedError

    assert service.refresh(answer) == "succeeded"
    assert service.stored.standing.state is ConnectionState.ACTIVE


def test_two_rejections_require_a_sign_in(service: Service) -> None:
    assert service.refresh(TokensRejectedError(), TokensRejectedError()) == "tokens_rejected"
    standing = service.stored.standing
    assert standing.state is ConnectionState.SIGN_IN_REQUIRED
    assert standing.reason is StateReason.REJECTED
    assert service.events() == ["rejected"]
    assert service.refresh() == "succeeded"  # nothing is asked any more
    service.sign_in("again")
    assert service.stored.standing.state is ConnectionState.ACTIVE


def test_one_rejection_is_not_believed(service: Service) -> None:
    assert service.refresh(TokensRejectedError(), new()) == "succeeded"
    assert service.driver.sent == ["old", "old"]
    assert service.stored.standing.state is ConnectionState.ACTIVE


def test_a_lost_answer_is_followed_by_the_same_token_at_once(service: Service) -> None:
    assert service.refresh(LOST, new()) == "succeeded"
    assert service.driver.sent == ["old", "old"]


@pytest.mark.parametrize(
    ("answers", "result"),
    [
        ([LOST, LOST], "garmin_unavailable"),
        ([GarminUnavailableError(), GarminUnavailableError()], "garmin_unavailable"),
        ([GarminUnavailableError(90)], "garmin_unavailable"),
        ([GarminUnreachableError(unsent=True)], "garmin_unavailable"),
        ([GarminRateLimitedError(90)], "garmin_rate_limited"),
        ([ClientRefusedError(90)], "garmin_rate_limited"),
        ([TokensRejectedError(), GarminRateLimitedError(90)], "garmin_rate_limited"),
        ([TokensRejectedError(), LOST, LOST], "garmin_unavailable"),
    ],
)
def test_nothing_else_ends_a_connection(
    service: Service, answers: list[Exception], result: str
) -> None:
    assert service.refresh(*answers) == result
    assert service.row.generation == 1
    assert service.stored.standing.state is ConnectionState.ACTIVE
    wait = service.cooldowns.remaining(DRIVER, str(service.row.id))
    assert 20 < wait <= 90
    until_due = service.row.refresh_due_at - datetime.now(UTC)
    assert timedelta(seconds=20) < until_due <= timedelta(seconds=90)


def test_garmins_retry_after_is_kept_and_stops_no_sign_in(service: Service) -> None:
    service.refresh(GarminRateLimitedError(500))
    assert service.refresh() == "garmin_rate_limited"  # without asking
    assert DriverCooldowns(service.redis).remaining(DRIVER, str(service.row.id)) == 0
    assert DriverCooldowns(service.redis).remaining(DRIVER) == 0


def test_a_lost_answer_stays_written_down(service: Service) -> None:
    service.refresh(LOST, LOST)
    assert service.row.refresh_begun == 1


def test_a_worker_that_finds_a_sealed_answer_stores_it_without_asking(service: Service) -> None:
    job_id = service.submit()
    dead = service.jobs.claim(job_id, "dead worker")
    service.jobs.keep_progress(
        dead, JobStage.STORING, RefreshProgress(user_id=str(service.row.user_id), tokens=new())
    )
    service.jobs.release(dead)
    assert service.runner().run(job_id) == "succeeded"
    assert service.driver.sent == []
    assert service.stored.tokens.data.get_secret_value() == "new"


def test_an_answer_outlives_a_database_that_is_away(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = service.submit()
    runner = service.runner()

    def answer() -> GarminTokens:
        service.database.close()
        monkeypatch.setattr(service.database, "run", away)
        return new()

    def away(_: object) -> None:
        raise ServiceUnavailableError("database")

    service.driver.answers = [answer]
    with pytest.raises(PostponedError):
        runner.run(job_id)
    monkeypatch.undo()
    assert service.row.generation == 1
    assert runner.run(job_id) == "succeeded"
    assert service.driver.sent == ["old"]
    assert service.stored.tokens.data.get_secret_value() == "new"


def test_an_answer_that_can_not_be_sealed_is_stored_nevertheless(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(self: Run, stage: JobStage, progress: RefreshProgress) -> None:
        raise ServiceUnavailableError("redis")

    monkeypatch.setattr(Run, "keep_progress", lose)
    service.driver.answers = [new()]
    with pytest.raises(ServiceUnavailableError):
        service.runner().run(service.submit())
    assert service.stored.tokens.data.get_secret_value() == "new"


def test_tokens_that_were_deleted_are_not_stored_again(service: Service) -> None:
    user_id = service.row.user_id

    def answer() -> GarminTokens:
        service.database.run(lambda s: TokenRepository(s, service.keyring).delete(user_id))
        return new()

    assert service.refresh(answer) == "succeeded"
    assert service.database.run(lambda s: list(s.scalars(select(GarminToken)))) == []


def test_tokens_past_their_end_require_a_sign_in_without_asking(service: Service) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    service.database.run(lambda s: s.execute(update(GarminToken).values(refresh_expires_at=past)))
    assert service.refresh() == "succeeded"
    assert (service.row.state, service.row.state_reason) == ("sign_in_required", "expired")
    assert service.events() == ["expired"]
