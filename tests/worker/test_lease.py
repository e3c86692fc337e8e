"""Who may go on with a job, with the clock in the test's hands; the thread that keeps leases."""

import functools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from dev.servers import RedisServer
from shared.crypto.keyring import Keyring
from shared.errors import GarminUnavailableError, JobLostError, SealBrokenError, TimedOutError
from shared.garmin.types import Credentials
from shared.jobs.claims import Claim
from shared.jobs.repeats import NewJob
from shared.jobs.states import Failure, JobKind, JobStatus
from shared.logs.context import job_context
from shared.redis.connection import Redis, connect
from shared.timings import PRODUCTION
from tests.logs import captured_logs, parsed
from tests.shared.jobs.both_sides import Jobs
from tests.shared.samples import nothing_listens
from worker.lease import Lease, LeaseKeeper

CREDENTIALS = Credentials(username=SecretStr("anna@example.com"), password=SecretStr("secret"))
CLAIM = Claim("1", "first", JobKind.LOGIN, 1, None, None)
TIMED_OUT = Failure.of(TimedOutError())


def nothing(_: Lease) -> None:
    """What to do about a deadline that is not the point."""


@dataclass
class Clock:
    """The lease's clock, which stands still until it is moved."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    sleep = staticmethod(time.sleep)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("worker.lease.time", clock)
    return clock


def new_lease(
    clock: Clock, seconds: float | None = 60, confirmed: float = PRODUCTION.lease
) -> Lease:
    deadline = None if seconds is None else clock.now + seconds
    return Lease(CLAIM, nothing, deadline, clock.now + confirmed)


# One lease


def test_a_confirmed_lease_says_how_long_the_job_may_take(clock: Clock) -> None:
    held = new_lease(clock, 60)
    clock.now += 10
    assert held.check() == 50


def test_a_passed_deadline_ends_a_job(clock: Clock) -> None:
    held = new_lease(clock, 10)
    clock.now += 9.9
    assert held.check()
    assert not held.overdue()
    clock.now += 0.1
    with pytest.raises(TimedOutError):
        held.check()
    assert held.overdue()


def test_a_timed_out_job_stays_timed_out(clock: Clock) -> None:
    held = new_lease(clock, 10)
    clock.now += 10
    assert held.overdue()
    with pytest.raises(TimedOutError):
        held.drop_deadline()
    with pytest.raises(TimedOutError):
        held.check()


def test_a_deadline_that_has_passed_is_not_dropped(clock: Clock) -> None:
    """Whether or not the thread that ends the job has seen it yet."""
    held = new_lease(clock, 10, confirmed=10**9)
    clock.now += 10
    with pytest.raises(TimedOutError):
        held.drop_deadline()
    assert held.overdue()


def test_without_a_deadline_a_job_has_all_the_time(clock: Clock) -> None:
    held = new_lease(clock, 10, confirmed=10**9)
    held.drop_deadline()
    clock.now += 10**6
    assert held.check() is None
    assert not held.overdue()


def test_a_lost_job_may_not_go_on_whatever_time_is_left(clock: Clock) -> None:
    held = new_lease(clock, 60)
    held.lose()
    with pytest.raises(JobLostError):
        held.check()
    held.confirm(clock.now)
    with pytest.raises(JobLostError):
        held.check()


@pytest.fixture
def waiting() -> Iterator[Callable[[Lease], "Future[float | None]"]]:
    """Starts a `check` that has to wait, and sees that it does."""
    with ThreadPoolExecutor() as pool:

        def start(held: Lease) -> "Future[float | None]":
            result = pool.submit(held.check)
            with pytest.raises(TimeoutError):
                result.result(timeout=0.2)
            return result

        yield start


Waiting = Callable[[Lease], "Future[float | None]"]


def test_a_lease_that_cannot_be_confirmed_is_waited_for(clock: Clock, waiting: Waiting) -> None:
    held = new_lease(clock, 60)
    clock.now += PRODUCTION.lease
    result = waiting(held)
    held.confirm(clock.now)
    assert result.result(timeout=60) == 60 - PRODUCTION.lease


def test_a_confirmation_counts_from_its_request(clock: Clock, waiting: Waiting) -> None:
    held = new_lease(clock, 600)
    clock.now += PRODUCTION.lease * 3
    result = waiting(held)
    held.confirm(clock.now - PRODUCTION.lease)  # the answer took as long as the lease
    with pytest.raises(TimeoutError):
        result.result(timeout=0.2)
    held.confirm(clock.now)
    assert result.result(timeout=60)


def test_waiting_ends_when_the_job_is_lost(clock: Clock, waiting: Waiting) -> None:
    held = new_lease(clock, 60)
    clock.now += PRODUCTION.lease
    result = waiting(held)
    held.lose()
    with pytest.raises(JobLostError):
        result.result(timeout=60)


def test_waiting_ends_with_the_deadline(clock: Clock, waiting: Waiting) -> None:
    held = new_lease(clock, PRODUCTION.lease + 1)
    clock.now += PRODUCTION.lease
    result = waiting(held)
    clock.now += 1
    with pytest.raises(TimedOutError):
        result.result(timeout=60)


# The thread that renews


HURRIED = replace(PRODUCTION, lease_renewal=0.02, lease_renewal_retry=0.02)


@pytest.fixture
def jobs(redis: Redis, keyring: Keyring) -> Jobs:
    return Jobs(redis, keyring, 900)


@pytest.fixture
def keeper(jobs: Jobs) -> LeaseKeeper:
    return LeaseKeeper(jobs, HURRIED)


def new_job(jobs: Jobs) -> NewJob:
    return jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS)


def claimed(jobs: Jobs, owner: str = "first") -> Claim:
    return jobs.claim(new_job(jobs).job_id, owner)


def key_of(claim: Claim) -> str:
    return f"fittrack:job:{claim.job_id}:lease"


def eventually(condition: Callable[[], object]) -> None:
    ends_at = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends_at, "waited in vain"
        time.sleep(0.01)


def test_a_held_job_is_renewed(keeper: LeaseKeeper, jobs: Jobs, redis: Redis) -> None:
    claim = claimed(jobs)
    with keeper.hold(claim, 60, nothing) as held:
        redis.delete(key_of(claim))
        eventually(lambda: redis.get(key_of(claim)) == b"first")
        redis.pexpire(key_of(claim), 3000)
        eventually(lambda: redis.pttl(key_of(claim)) > 10_000)
        assert held.check()


def test_a_lease_counts_from_before_it_was_asked_for(
    jobs: Jobs, keyring: Keyring, waiting: Waiting
) -> None:
    """The answer took as long as the lease: it may have run out already."""
    claim = replace(claimed(jobs), sent_at=time.monotonic() - PRODUCTION.lease)
    with connect(f"redis://{nothing_listens()}/0", timeout=1) as absent:
        renews_nothing = LeaseKeeper(Jobs(absent, keyring, 900), HURRIED)
        with renews_nothing.hold(claim, 60, nothing) as held:
            result = waiting(held)
            held.confirm(time.monotonic())
            assert result.result(timeout=60)


def test_a_claim_knows_when_it_was_sent(real_redis_url: str, keyring: Keyring) -> None:
    with connect(real_redis_url, timeout=30) as redis:
        jobs = Jobs(redis, keyring, 900)
        job_id, asked_at = new_job(jobs).job_id, time.monotonic()
        redis.client_pause(500)
        claim = jobs.claim(job_id, "first")
        answered_at = time.monotonic()
    assert claim.sent_at - asked_at < 0.25 < 0.5 < answered_at - asked_at


def test_a_released_job_is_not_taken_up_again(
    keeper: LeaseKeeper, jobs: Jobs, redis: Redis
) -> None:
    claim = claimed(jobs)
    with keeper.hold(claim, 60, nothing) as held:
        jobs.release(claim)
        eventually(lambda: held.lost)
        assert not redis.exists(key_of(claim))
        assert jobs.claim(claim.job_id, "second").runs == 2


def test_an_ended_job_is_not_renewed(keeper: LeaseKeeper, jobs: Jobs, redis: Redis) -> None:
    over, other = claimed(jobs), claimed(jobs)
    with keeper.hold(other, 60, nothing):
        with keeper.hold(over, 60, nothing):
            pass
        redis.delete(key_of(other))  # two rounds: the one under way may still renew
        eventually(lambda: redis.exists(key_of(other)))
        redis.delete(key_of(over), key_of(other))
        eventually(lambda: redis.exists(key_of(other)))
        assert not redis.exists(key_of(over))


def test_a_job_another_worker_took_over_is_lost(
    keeper: LeaseKeeper, jobs: Jobs, redis: Redis
) -> None:
    claim = claimed(jobs)
    with keeper.hold(claim, 60, nothing) as held:
        redis.hset(f"fittrack:job:{claim.job_id}", "owner", "second")
        redis.set(key_of(claim), "second", px=60_000)
        eventually(lambda: held.lost)
        with pytest.raises(JobLostError):
            held.check()
    assert redis.get(key_of(claim)) == b"second"


def test_a_job_that_expired_is_lost(keeper: LeaseKeeper, jobs: Jobs, redis: Redis) -> None:
    claim = claimed(jobs)
    with keeper.hold(claim, 60, nothing) as held:
        redis.delete(f"fittrack:job:{claim.job_id}")
        eventually(lambda: held.lost)


def test_a_job_that_takes_too_long_is_ended(keeper: LeaseKeeper, jobs: Jobs) -> None:
    job = new_job(jobs)
    claim = jobs.claim(job.job_id, "first")
    with keeper.hold(claim, 0.05, lambda _: nothing_more(jobs.end(claim, TIMED_OUT))) as held:
        eventually(lambda: held.lost)  # there is nothing left to renew
        with pytest.raises((TimedOutError, JobLostError)):
            held.check()
        with pytest.raises(JobLostError):
            jobs.end(claim, Failure.of(GarminUnavailableError()))
    view = jobs.view(job.job_id, job.poll_token.get_secret_value())
    assert (view.status, view.outcome) == (JobStatus.FAILED, TIMED_OUT)


def nothing_more(_: object) -> None:
    """What ended is of no interest."""


def test_a_dropped_deadline_does_not_end_the_job(keeper: LeaseKeeper, jobs: Jobs) -> None:
    with keeper.hold(claimed(jobs), 3600, nothing) as held:
        assert held.check() is not None
        held.drop_deadline()
        assert held.check() is None


@pytest.mark.parametrize("error", [SealBrokenError("bug"), RuntimeError("bug"), JobLostError()])
def test_one_job_that_fails_does_not_stop_the_others(
    keeper: LeaseKeeper, jobs: Jobs, redis: Redis, error: Exception
) -> None:
    def fail(_: Lease) -> None:
        raise error

    failing, other = claimed(jobs), claimed(jobs)
    with keeper.hold(other, 60, nothing), keeper.hold(failing, 0, fail) as held:
        eventually(lambda: held.lost)
        redis.delete(key_of(other))
        eventually(lambda: redis.exists(key_of(other)))


def test_the_lease_threads_log_lines_have_the_ids_of_their_job(
    keeper: LeaseKeeper, jobs: Jobs
) -> None:
    def fail(_: Lease) -> None:
        raise RuntimeError

    with captured_logs("INFO") as written:
        for number in ("1", "2"):
            with (
                job_context(f"job-{number}", f"request-{number}"),
                keeper.hold(claimed(jobs), 0, fail) as held,
            ):
                eventually(functools.partial(getattr, held, "lost"))
        lines = parsed(written.getvalue())
    assert all(line["event"].split()[2:4] == ["bug:", "RuntimeError"] for line in lines)
    ids = [(line["request_id"], line["job_id"]) for line in lines]
    assert list(dict.fromkeys(ids)) == [("request-1", "job-1"), ("request-2", "job-2")]


def test_many_jobs_are_kept_by_one_thread(keeper: LeaseKeeper, jobs: Jobs, redis: Redis) -> None:
    started = threading.active_count()
    release = threading.Event()
    holding = threading.Barrier(9)

    def work(number: int) -> float | None:
        with keeper.hold(claimed(jobs, f"owner-{number}"), 600, nothing) as held:
            holding.wait(timeout=60)
            release.wait(timeout=120)
            return held.check()

    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(work, number) for number in range(8)]
        holding.wait(timeout=60)
        assert threading.active_count() == started + 8 + 1
        redis.delete(*redis.scan_iter("fittrack:job:*:lease"))
        eventually(lambda: len(list(redis.scan_iter("fittrack:job:*:lease"))) == 8)
        release.set()
        assert all(result.result() for result in results)


def test_a_job_waits_while_redis_is_away_and_then_goes_on(tmp_path: Path, keyring: Keyring) -> None:
    timings = replace(HURRIED, lease=0.5)
    server = RedisServer(tmp_path)
    server.wait_ready()
    with connect(server.url, timeout=5) as redis:
        jobs = Jobs(redis, keyring, 900)
        claim = claimed(jobs)
        with LeaseKeeper(jobs, timings).hold(claim, 600, nothing) as held:
            eventually(lambda: held.check())
            server.stop()
            # Nothing can be confirmed any more, and so nothing more may be sent.
            eventually(lambda: time.monotonic() > held.confirmed_until)
            with ThreadPoolExecutor() as pool:
                waiting = pool.submit(held.check)
                with pytest.raises(TimeoutError):
                    waiting.result(timeout=0.5)
                server = RedisServer(tmp_path, server.port)
                server.wait_ready()
                assert waiting.result(timeout=120)
        assert jobs.renew(claim)
    server.stop()
