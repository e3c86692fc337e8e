"""Jobs as submitters and workers see them, over real Redis and over fakeredis."""

import time
from collections.abc import Callable

import pytest

from dev.stack import new_key
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import token_hash
from shared.errors import (
    InternalJobError,
    JobNotFoundError,
    SealBrokenError,
    ServiceUnavailableError,
)
from shared.garmin.types import CodeSubmission, Credentials
from shared.jobs.claims import Claim, JobBusyError
from shared.jobs.counters import JobCounters
from shared.jobs.repeats import NewJob
from shared.jobs.states import (
    Failure,
    JobKind,
    JobStage,
    JobStatus,
    Outcome,
)
from shared.origin import Origin
from shared.redis.clock import redis_ms
from shared.redis.connection import Redis, connect
from shared.timings import PRODUCTION
from tests.shared.jobs.both_sides import Jobs
from tests.shared.jobs.outcomes import (
    OUTCOMES,
    REFUSED,
    SUCCESS,
    claimed,
    each_outcome,
    lose_lease,
    moves,
    new_login,
)
from tests.shared.samples import (
    CREDENTIALS,
    JOB_TTL,
    SECRETS,
    SUBMISSION,
    at_once,
    everything_in,
    garmin_tokens,
    keys_that_never_expire,
    nobody_answers,
    nothing_listens,
)


def test_a_new_job_waits_for_a_worker(jobs: Jobs) -> None:
    job = new_login(jobs)
    assert job.expires_in == JOB_TTL
    view = jobs.view(job.job_id, job.poll_token.get_secret_value())
    assert (view.job_id, view.kind) == (job.job_id, JobKind.LOGIN)
    assert (view.status, view.stage) == (JobStatus.QUEUED, JobStage.WAITING_FOR_WORKER)
    assert view.outcome is None


def test_a_wrong_poll_token_is_answered_as_an_unknown_job(jobs: Jobs) -> None:
    mine, other = new_login(jobs), new_login(jobs)
    answers = []
    for job_id, token in [
        (mine.job_id, other.poll_token.get_secret_value()),
        (mine.job_id, ""),
        (mine.job_id, "\u00e9"),
        (jobs.new_id(), mine.poll_token.get_secret_value()),
        (jobs.new_id(), ""),
    ]:
        with pytest.raises(JobNotFoundError) as caught:
            jobs.view(job_id, token)
        answers.append((type(caught.value), str(caught.value)))
    assert len(set(answers)) == 1


def test_poll_tokens_are_long_and_all_different(jobs: Jobs) -> None:
    tokens = {new_login(jobs).poll_token.get_secret_value() for _ in range(20)}
    assert len(tokens) == 20
    assert all(len(token) == 43 for token in tokens)


def test_a_worker_gets_what_the_submitter_gave(jobs: Jobs) -> None:
    login = claimed(jobs)
    assert jobs.open_input(login, Credentials) == CREDENTIALS
    assert (login.kind, login.runs, login.progress) == (JobKind.LOGIN, 1, None)
    job_id = jobs.new_id()
    jobs.create(job_id, JobKind.MFA_COMPLETION, SUBMISSION)
    code = jobs.claim(job_id, "first")
    assert jobs.open_input(code, CodeSubmission) == SUBMISSION
    assert code.kind is JobKind.MFA_COMPLETION


def test_a_claimed_job_runs(jobs: Jobs) -> None:
    job = new_login(jobs)
    claim = jobs.claim(job.job_id, "first")
    assert jobs.view(job.job_id, job.poll_token.get_secret_value()).status is JobStatus.RUNNING
    jobs.advance(claim, JobStage.CONTACTING_GARMIN)
    view = jobs.view(job.job_id, job.poll_token.get_secret_value())
    assert (view.status, view.stage) == (JobStatus.RUNNING, JobStage.CONTACTING_GARMIN)


def test_a_claimed_job_is_busy_for_everyone_else(jobs: Jobs) -> None:
    claim = claimed(jobs)
    with pytest.raises(JobBusyError):
        jobs.claim(claim.job_id, "second")
    jobs.advance(claim, JobStage.CONTACTING_GARMIN)


def test_the_holder_may_claim_again_within_the_same_run(jobs: Jobs) -> None:
    claim = claimed(jobs)
    assert jobs.claim(claim.job_id, "first").runs == 1


@pytest.mark.parametrize("days", [-100, 100])
def test_the_time_of_a_process_whose_clock_is_wrong_does_not_count(
    jobs: Jobs, redis: Redis, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    real = time.time
    with monkeypatch.context() as moved:
        moved.setattr("time.time", lambda: real() + days * 86_400)
        job = new_login(jobs)
        jobs.confirm(job.job_id)
        assert JobCounters(redis).queued(["login"]) == {"login": 1}
    assert JobCounters(redis).queued(["login"]) == {"login": 1}
    due = redis.zscore("fittrack:jobs:open", job.job_id)
    assert float(str(due)) / 1000 - real() == pytest.approx(PRODUCTION.lost_message, abs=10)


def test_a_worker_learns_when_the_sign_in_began(jobs: Jobs, redis: Redis) -> None:
    a_minute_ago = Origin(began_at=redis_ms(redis) - 60_000)
    before = time.monotonic()
    claim = jobs.claim(new_login(jobs).job_id, "first")
    assert before <= claim.sent_at <= time.monotonic()
    assert time.monotonic() - claim.began < 5
    job = jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS, a_minute_ago)
    claim = jobs.claim(job.job_id, "first")
    assert time.monotonic() - claim.began == pytest.approx(60, abs=5)
    code = jobs.create(
        jobs.new_id(), JobKind.MFA_COMPLETION, SUBMISSION, Origin(began_at=claim.began_at)
    )
    assert jobs.claim(code.job_id, "second").began == pytest.approx(claim.began, abs=1)


@each_outcome
def test_an_ended_job_cannot_be_claimed(jobs: Jobs, outcome: Outcome) -> None:
    claim = claimed(jobs)
    jobs.end(claim, outcome)
    for owner in ("first", "second"):
        with pytest.raises(JobNotFoundError):
            jobs.claim(claim.job_id, owner)


def test_an_unknown_job_cannot_be_claimed(jobs: Jobs, redis: Redis) -> None:
    with pytest.raises(JobNotFoundError):
        jobs.claim(jobs.new_id(), "first")
    assert everything_in(redis) == b""


def test_a_discarded_job_is_unknown(jobs: Jobs, redis: Redis) -> None:
    job = new_login(jobs)
    assert jobs.discard(job.job_id)
    assert list(redis.scan_iter()) == [b"fittrack:events"]  # that it was asked for
    with pytest.raises(JobNotFoundError):
        jobs.view(job.job_id, job.poll_token.get_secret_value())


def test_a_job_that_a_worker_has_seen_is_not_discarded(jobs: Jobs) -> None:
    job = new_login(jobs)
    claim = jobs.claim(job.job_id, "first")
    assert not jobs.discard(job.job_id)
    jobs.end(claim, SUCCESS)
    assert not jobs.discard(job.job_id)
    assert jobs.view(job.job_id, job.poll_token.get_secret_value()).outcome == SUCCESS


def test_either_a_worker_or_the_discarder_gets_the_job(jobs: Jobs) -> None:
    for _ in range(10):
        job_id = new_login(jobs).job_id

        def claim_or_discard(number: int, job_id: str = job_id) -> object:
            return jobs.claim(job_id, "first") if number else jobs.discard(job_id)

        discarded, claimed = at_once(claim_or_discard, threads=2)
        assert discarded is not isinstance(claimed, Claim)


def test_input_that_is_gone_reads_as_none(jobs: Jobs, redis: Redis) -> None:
    job = new_login(jobs)
    redis.delete(f"fittrack:job:{job.job_id}:input")
    assert jobs.open_input(jobs.claim(job.job_id, "first"), Credentials) is None


def test_an_outcome_moved_to_another_job_does_not_open(jobs: Jobs, redis: Redis) -> None:
    mine, other = new_login(jobs), new_login(jobs)
    for job, outcome in ((mine, SUCCESS), (other, REFUSED)):
        jobs.end(jobs.claim(job.job_id, "first"), outcome)
    stolen = redis.hget(f"fittrack:job:{mine.job_id}", "outcome")
    assert isinstance(stolen, bytes)
    redis.hset(f"fittrack:job:{other.job_id}", mapping={"outcome": stolen, "status": "succeeded"})
    view = jobs.view(other.job_id, other.poll_token.get_secret_value())
    assert view.status is JobStatus.FAILED
    assert view.outcome == Failure.of(InternalJobError())


def test_replacing_the_poll_token_of_a_job_does_not_reveal_its_outcome(
    jobs: Jobs, redis: Redis
) -> None:
    before, after = new_login(jobs), new_login(jobs)

    def hijack(job: NewJob) -> None:
        redis.hset(f"fittrack:job:{job.job_id}", "poll_hash", token_hash("mine"))

    hijack(before)
    claim = jobs.claim(before.job_id, "first")
    with pytest.raises(SealBrokenError):
        jobs.open_input(claim, Credentials)

    jobs.end(jobs.claim(after.job_id, "first"), SUCCESS)
    hijack(after)
    assert jobs.view(after.job_id, "mine").outcome == Failure.of(InternalJobError())


def test_input_moved_to_another_job_does_not_open(jobs: Jobs, redis: Redis) -> None:
    mine, other = new_login(jobs), new_login(jobs)
    redis.rename(f"fittrack:job:{mine.job_id}:input", f"fittrack:job:{other.job_id}:input")
    claim = jobs.claim(other.job_id, "first")
    with pytest.raises(SealBrokenError):
        jobs.open_input(claim, Credentials)


def test_without_the_key_nothing_opens(jobs: Jobs, redis: Redis) -> None:
    job = new_login(jobs)
    stranger = Jobs(redis, Keyring.parse(new_key("test")), JOB_TTL)
    claim = stranger.claim(job.job_id, "first")
    with pytest.raises(SealBrokenError):
        stranger.open_input(claim, Credentials)
    jobs.end(claim, SUCCESS)
    view = stranger.view(job.job_id, job.poll_token.get_secret_value())
    assert view.outcome == Failure.of(InternalJobError())


def play_success(jobs: Jobs, redis: Redis) -> None:
    claim = claimed(jobs)
    jobs.advance(claim, JobStage.CONTACTING_GARMIN)
    jobs.keep_progress(claim, JobStage.STORING, garmin_tokens())
    jobs.renew(claim)
    jobs.end(claim, SUCCESS)


def play_take_over(jobs: Jobs, redis: Redis) -> None:
    claim = claimed(jobs)
    jobs.keep_progress(claim, JobStage.STORING, garmin_tokens())
    lose_lease(redis, claim.job_id)
    jobs.renew(claim)
    jobs.release(claim)
    jobs.claim(claim.job_id, "second")


def play_half_way(jobs: Jobs, redis: Redis) -> None:
    new_login(jobs)
    jobs.create(jobs.new_id(), JobKind.MFA_COMPLETION, SUBMISSION)
    jobs.keep_progress(claimed(jobs), JobStage.STORING, garmin_tokens())


def play_failures(jobs: Jobs, redis: Redis) -> None:
    for outcome in OUTCOMES:
        jobs.end(claimed(jobs), outcome)


PLAYS = [play_success, play_take_over, play_half_way, play_failures]


@pytest.mark.parametrize("play", PLAYS)
def test_every_key_in_redis_expires(
    jobs: Jobs, redis: Redis, play: Callable[[Jobs, Redis], None]
) -> None:
    play(jobs, redis)
    assert list(redis.scan_iter())
    assert keys_that_never_expire(redis) == []


@pytest.mark.parametrize("play", PLAYS)
def test_no_secret_lies_in_redis_in_plain_text(
    jobs: Jobs, redis: Redis, play: Callable[[Jobs, Redis], None]
) -> None:
    play(jobs, redis)
    stored = everything_in(redis)
    assert b"status" in stored
    assert not [secret for secret in SECRETS if secret.encode() in stored]


def test_a_poll_token_lies_in_redis_only_as_its_hash(jobs: Jobs, redis: Redis) -> None:
    job = new_login(jobs)
    stored = everything_in(redis)
    assert b"poll_hash" in stored
    assert job.poll_token.get_secret_value().encode() not in stored


def test_without_redis_every_method_raises_unavailable(keyring: Keyring) -> None:
    claim = Claim("1", "first", JobKind.LOGIN, 1, None, None)
    with connect(f"redis://{nothing_listens()}/0", timeout=5) as redis:
        store = Jobs(redis, keyring, JOB_TTL)
        calls: list[Callable[[], object]] = [
            lambda: new_login(store),
            lambda: store.discard("1"),
            lambda: store.view("1", "token"),
            lambda: store.claim("1", "first"),
            lambda: store.renew(claim),
            lambda: store.release(claim),
            lambda: JobCounters(redis).ended(),
            *moves(store, claim),
        ]
        for call in calls:
            with pytest.raises(ServiceUnavailableError) as caught:
                call()
            assert caught.value.what == "redis"
            assert caught.value.__suppress_context__


def test_a_silent_redis_is_not_waited_for(keyring: Keyring) -> None:
    with (
        nobody_answers() as address,
        connect(f"redis://{address}/0", timeout=0.2) as redis,
        pytest.raises(ServiceUnavailableError),
    ):
        Jobs(redis, keyring, JOB_TTL).claim("1", "first")


def test_a_patient_client_waits_out_a_short_absence(real_redis_url: str) -> None:
    with connect(real_redis_url, timeout=5, patience=30) as redis:
        redis.ping()
        with connect(real_redis_url, timeout=5) as other:
            other.client_kill_filter(_type="normal", skipme=True)
        assert redis.ping()
