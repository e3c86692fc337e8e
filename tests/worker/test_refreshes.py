"""Refreshes lose nothing: whatever Garmin says, whoever dies, whoever signs in meanwhile."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from shared.accounts.refreshes import RefreshHeldError
from shared.accounts.states import ConnectionState, StateReason
from shared.accounts.tokens import TokenRepository
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.database.models import GarminToken
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
from shared.jobs.keys import JobKeys
from shared.jobs.states import JobStage
from shared.redis.connection import Redis
from shared.redis.driver_cooldowns import DriverCooldowns, Turn
from shared.redis.measurements import JOB_SECONDS, REFRESHES, MeasuredSums
from tests.worker.refreshing import DRIVER, Service, new
from worker.handlers.refresh import RefreshProgress
from worker.run import PostponedError, Run


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


def test_refreshes_are_counted_by_what_garmin_said_and_timed(service: Service) -> None:
    service.refresh(new("second"))
    service.refresh(TokensRejectedError(), new("third"))
    service.refresh(LOST, LOST)
    service.cooldowns.accepted(Turn(DRIVER, str(service.row.id)))
    service.refresh(ClientRefusedError(90))
    service.refresh()  # rests
    service.cooldowns.accepted(Turn(DRIVER, str(service.row.id)))
    service.refresh(TokensRejectedError(), TokensRejectedError())
    service.measurements.flush_to(service.redis)
    sums = MeasuredSums(service.redis).read()
    assert dict(sums.counted(REFRESHES)) == {
        (DRIVER, "ok"): 2,
        (DRIVER, "garmin_unavailable"): 1,
        (DRIVER, "garmin_rate_limited"): 2,
        (DRIVER, "tokens_rejected"): 1,
    }
    [jobs] = sums.timed(JOB_SECONDS)
    assert jobs.labels == ("refresh",)
    assert jobs.buckets[-1] == ("+Inf", 6)


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


@pytest.mark.parametrize("request_expired", [False, True])
def test_a_worker_that_finds_a_sealed_answer_stores_it_without_asking(
    service: Service, request_expired: bool
) -> None:
    """What was submitted lives for as long as any job; what Garmin has answered lives longer."""
    job_id = service.submit()
    dead = service.jobs.claim(job_id, "dead worker")
    row = service.row
    progress = RefreshProgress(
        token_id=row.id, generation=row.generation, user_id=str(row.user_id), tokens=new()
    )
    service.jobs.keep_progress(dead, JobStage.STORING, progress)
    service.jobs.release(dead)
    if request_expired:
        service.redis.delete(JobKeys(service.redis.keyspace).input(job_id))
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
        monkeypatch.setattr(service.database, "_run", away)
        return new()

    def away(*_: object) -> None:
        raise ServiceUnavailableError("database")

    service.driver.answers = [answer]
    with pytest.raises(PostponedError):
        runner.run(job_id)
    monkeypatch.undo()
    assert service.row.generation == 1
    assert runner.run(job_id) == "succeeded"
    assert service.driver.sent == ["old"]
    assert service.stored.tokens.data.get_secret_value() == "new"


def test_an_answer_that_can_not_be_sealed_is_stored_at_once(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(self: Run, stage: JobStage, progress: RefreshProgress) -> None:
        raise ServiceUnavailableError("redis")

    monkeypatch.setattr(Run, "keep_progress", lose)
    assert service.refresh(new()) == "succeeded"
    assert service.stored.tokens.data.get_secret_value() == "new"


def test_an_answer_is_kept_by_redis_or_the_database_whichever_comes_back_first(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def away(*_: object) -> None:
        tries.append("redis")
        if len(tries) > 1:
            monkeypatch.setattr(service.database, "_run", run)
        raise ServiceUnavailableError("redis")

    def answer() -> GarminTokens:
        monkeypatch.setattr(service.database, "_run", away)
        return new()

    run = service.database._run
    monkeypatch.setattr(Run, "keep_progress", away)
    assert service.refresh(answer) == "succeeded"
    assert service.stored.tokens.data.get_secret_value() == "new"


def test_a_job_that_redis_has_lost_stores_what_it_got(service: Service) -> None:
    def answer() -> GarminTokens:
        service.redis.flushdb()
        return new()

    assert service.refresh(answer) == "lost"
    assert service.stored.tokens.data.get_secret_value() == "new"


def test_another_job_waits_while_tokens_are_being_refreshed(service: Service) -> None:
    """Redis has forgotten the first one: a refresh token that works once must not be sent twice."""
    second = service.runner()

    def answer() -> GarminTokens:
        service.redis.flushdb()
        waiting.append(pool.submit(second.run, service.submit()))
        time.sleep(0.5)
        assert service.driver.sent == ["old"]
        return new()

    waiting: list[Future[str]] = []
    with ThreadPoolExecutor(1) as pool:
        assert service.refresh(answer) == "lost"
        assert waiting[0].result() == "succeeded"
    assert service.driver.sent == ["old"]
    assert service.row.generation == 2


def test_a_refresh_whose_job_is_gone_is_begun_by_another_in_the_end(service: Service) -> None:
    lost = service.row
    service.begin("lost job", seconds=30)
    with pytest.raises(RefreshHeldError):
        service.begin("new job")
    service.begin("lost job", seconds=-1)  # as often as it likes
    assert service.begin("new job") is not None
    service.begin("new job", seconds=30)
    service.postpone()
    assert service.begin("yet another") is not None
    assert service.row.generation == lost.generation


def test_a_later_run_goes_on_at_once_and_no_other_of_the_same_number(service: Service) -> None:
    """Where Redis has forgotten a run, the job is run with its number again."""
    assert service.begin("job", seconds=30, owner="first") is not None
    assert service.begin("job", seconds=30, owner="first") is not None  # whose answer got lost
    with pytest.raises(RefreshHeldError):
        service.begin("job", seconds=30, owner="another")
    with pytest.raises(RefreshHeldError):
        service.begin("other job", seconds=30, run=3)
    assert service.begin("job", seconds=30, run=2, owner="another") is not None
    with pytest.raises(RefreshHeldError):
        service.begin("job", seconds=30, owner="first")


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
