"""Jobs over real Redis and over fakeredis: one contract."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.client import PubSub

from dev.stack import new_key
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import token_hash
from shared.errors import (
    GarminRateLimitedError,
    InternalJobError,
    JobLostError,
    JobNotFoundError,
    MfaCodeInvalidError,
    SealBrokenError,
    ServiceUnavailableError,
)
from shared.garmin.types import CodeSubmission, Credentials, GarminTokens
from shared.jobs.claims import Claim, JobBusyError
from shared.jobs.counters import JobCounters
from shared.jobs.keys import CHANNEL
from shared.jobs.repeats import NewJob
from shared.jobs.states import (
    CodeRequested,
    Failure,
    JobKind,
    JobStage,
    JobStatus,
    Outcome,
    Success,
)
from shared.redis.connection import connect
from shared.timings import PRODUCTION
from tests.shared.jobs.both_sides import Jobs
from tests.shared.samples import (
    ACCESS_TOKEN,
    CHALLENGE_ID,
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

SOON = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
SUCCESS = Success(
    session_id="0b6d5d0e-6e0e-4a53-9a3e-4f5b1c0f7a11",
    access_token=SecretStr(ACCESS_TOKEN),
    session_expires_at=SOON,
    user_id="7e1d2c3b-4a59-4687-9f0e-1d2c3b4a5968",
    display_name="Anna",
)
CODE_ASKED = CodeRequested(
    challenge_id=SecretStr(CHALLENGE_ID),
    mfa_type="email",
    mfa_destination="an*****@example.com",
    expires_at=SOON,
    attempts_left=3,
)
WRONG_CODE = Failure.of(MfaCodeInvalidError().with_challenge(SecretStr(CHALLENGE_ID), 2))
REFUSED = Failure.of(GarminRateLimitedError(77))
OUTCOMES: list[Outcome] = [SUCCESS, CODE_ASKED, WRONG_CODE, REFUSED]
each_outcome = pytest.mark.parametrize("outcome", OUTCOMES, ids=["success", "code", "wrong", "no"])


def new_login(jobs: Jobs) -> NewJob:
    return jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS)


def claimed(jobs: Jobs, owner: str = "first") -> Claim:
    return jobs.claim(new_login(jobs).job_id, owner)


def lose_lease(redis: Redis, job_id: str) -> None:
    """As if its time had run out."""
    assert redis.delete(f"fittrack:job:{job_id}:lease") == 1


def seconds_left(redis: Redis, job_id: str, part: str = "") -> float:
    return redis.pttl(f"fittrack:job:{job_id}{part}") / 1000


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


def test_a_job_that_expired_is_lost(jobs: Jobs, redis: Redis) -> None:
    claim = claimed(jobs)
    redis.delete(f"fittrack:job:{claim.job_id}")
    for move in moves(jobs, claim):
        with pytest.raises(JobLostError):
            move()
    assert not jobs.renew(claim)
    assert b"status" not in everything_in(redis)


def moves(jobs: Jobs, claim: Claim) -> list[Callable[[], object]]:
    return [
        lambda: jobs.advance(claim, JobStage.CHECKING_CODE),
        lambda: jobs.keep_progress(claim, JobStage.STORING, garmin_tokens()),
        lambda: jobs.end(claim, SUCCESS),
    ]


def test_a_second_worker_takes_over_when_the_lease_ran_out(jobs: Jobs, redis: Redis) -> None:
    job = new_login(jobs)
    first = jobs.claim(job.job_id, "first")
    lose_lease(redis, job.job_id)
    second = jobs.claim(job.job_id, "second")
    assert second.runs == 2
    assert jobs.open_input(second, Credentials) == CREDENTIALS
    for move in moves(jobs, first):
        with pytest.raises(JobLostError):
            move()
    assert not jobs.renew(first)
    jobs.release(first)
    view = jobs.view(job.job_id, job.poll_token.get_secret_value())
    assert (view.status, view.stage) == (JobStatus.RUNNING, JobStage.WAITING_FOR_WORKER)
    assert seconds_left(redis, job.job_id, ":lease") > 0
    jobs.end(second, SUCCESS)
    assert jobs.view(job.job_id, job.poll_token.get_secret_value()).outcome == SUCCESS


def test_a_lease_that_ran_out_is_taken_up_again_if_nobody_was_faster(
    jobs: Jobs, redis: Redis
) -> None:
    claim = claimed(jobs)
    lose_lease(redis, claim.job_id)
    assert jobs.renew(claim)
    with pytest.raises(JobBusyError):
        jobs.claim(claim.job_id, "second")
    jobs.end(claim, SUCCESS)


def test_renewing_gives_the_whole_lease_again(jobs: Jobs, redis: Redis) -> None:
    claim = claimed(jobs)
    redis.pexpire(f"fittrack:job:{claim.job_id}:lease", 60)
    assert jobs.renew(claim)
    assert 1 < seconds_left(redis, claim.job_id, ":lease") <= PRODUCTION.lease


def test_a_lease_ends_by_itself(jobs: Jobs, redis: Redis) -> None:
    claim = claimed(jobs)
    assert 0 < seconds_left(redis, claim.job_id, ":lease") <= PRODUCTION.lease


def test_an_ended_jobs_lease_is_not_renewed(jobs: Jobs, redis: Redis) -> None:
    claim = claimed(jobs)
    jobs.end(claim, SUCCESS)
    assert not jobs.renew(claim)
    assert not redis.exists(f"fittrack:job:{claim.job_id}:lease")


def test_a_released_job_is_there_for_the_next_worker(jobs: Jobs) -> None:
    claim = claimed(jobs)
    jobs.keep_progress(claim, JobStage.STORING, garmin_tokens())
    jobs.release(claim)
    second = jobs.claim(claim.job_id, "second")
    assert second.runs == 2
    assert jobs.open_progress(second, GarminTokens) is not None


def test_only_the_holder_releases(jobs: Jobs, redis: Redis) -> None:
    claim = claimed(jobs)
    stranger = Claim(claim.job_id, "stranger", claim.kind, 1, None, None)
    jobs.release(stranger)
    assert seconds_left(redis, claim.job_id, ":lease") > 0
    for move in moves(jobs, stranger):
        with pytest.raises(JobLostError):
            move()


def test_progress_waits_for_the_next_run(jobs: Jobs, redis: Redis) -> None:
    job = new_login(jobs)
    tokens = garmin_tokens()
    first = jobs.claim(job.job_id, "first")
    assert jobs.open_progress(first, GarminTokens) is None
    redis.expire(f"fittrack:job:{job.job_id}", 60)
    jobs.keep_progress(first, JobStage.READING_PROFILE, tokens)
    assert seconds_left(redis, job.job_id) > JOB_TTL - 60
    view = jobs.view(job.job_id, job.poll_token.get_secret_value())
    assert view.stage is JobStage.READING_PROFILE
    lose_lease(redis, job.job_id)
    assert jobs.open_progress(jobs.claim(job.job_id, "second"), GarminTokens) == tokens


def test_input_that_is_gone_reads_as_none(jobs: Jobs, redis: Redis) -> None:
    job = new_login(jobs)
    redis.delete(f"fittrack:job:{job.job_id}:input")
    assert jobs.open_input(jobs.claim(job.job_id, "first"), Credentials) is None


def test_advancing_does_not_prolong_a_job(jobs: Jobs, redis: Redis) -> None:
    claim = claimed(jobs)
    redis.expire(f"fittrack:job:{claim.job_id}", 60)
    jobs.advance(claim, JobStage.CONTACTING_GARMIN)
    assert 0 < seconds_left(redis, claim.job_id) <= 60


@each_outcome
def test_an_ended_job_shows_its_outcome(jobs: Jobs, outcome: Outcome) -> None:
    job = new_login(jobs)
    jobs.end(jobs.claim(job.job_id, "first"), outcome)
    view = jobs.view(job.job_id, job.poll_token.get_secret_value())
    assert view.status.ended
    assert view.outcome == outcome
    assert type(view.outcome) is type(outcome)


@each_outcome
def test_ending_a_job_deletes_what_was_sealed_for_its_worker(
    jobs: Jobs, redis: Redis, outcome: Outcome
) -> None:
    claim = claimed(jobs)
    jobs.keep_progress(claim, JobStage.STORING, garmin_tokens())
    jobs.end(claim, outcome)
    name = f"fittrack:job:{claim.job_id}"
    assert set(redis.scan_iter("fittrack:job:*")) == {name.encode()}
    assert not redis.hexists(name, "progress")


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (SUCCESS, "succeeded"),
        (CODE_ASKED, "mfa_required"),
        (WRONG_CODE, "mfa_code_invalid"),
        (REFUSED, "garmin_rate_limited"),
    ],
)
def test_ending_a_job_returns_its_result_code(jobs: Jobs, outcome: Outcome, word: str) -> None:
    assert jobs.end(claimed(jobs), outcome) == word


def test_an_outcome_can_be_polled_for_a_while_however_old_the_job(jobs: Jobs, redis: Redis) -> None:
    old, young = claimed(jobs), claimed(jobs)
    redis.expire(f"fittrack:job:{old.job_id}", 3)
    for claim in (old, young):
        jobs.end(claim, SUCCESS)
    assert seconds_left(redis, old.job_id) > PRODUCTION.outcome_ttl - 60
    assert seconds_left(redis, young.job_id) > JOB_TTL - 60


@each_outcome
def test_a_job_ends_once(jobs: Jobs, outcome: Outcome) -> None:
    job = new_login(jobs)
    claim = jobs.claim(job.job_id, "first")
    jobs.end(claim, outcome)
    for move in moves(jobs, claim):
        with pytest.raises(JobLostError):
            move()
    assert jobs.view(job.job_id, job.poll_token.get_secret_value()).outcome == outcome


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
def test_nothing_stays_in_redis_for_ever(
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


def test_ended_jobs_are_counted_by_result(jobs: Jobs, redis: Redis) -> None:
    for outcome in (SUCCESS, SUCCESS, CODE_ASKED, REFUSED):
        jobs.end(claimed(jobs), outcome)
    job_id = jobs.new_id()
    jobs.create(job_id, JobKind.MFA_COMPLETION, SUBMISSION)
    jobs.end(jobs.claim(job_id, "first"), WRONG_CODE)
    assert JobCounters(redis).ended() == {
        ("login", "succeeded"): 2,
        ("login", "mfa_required"): 1,
        ("login", "garmin_rate_limited"): 1,
        ("mfa_completion", "mfa_code_invalid"): 1,
    }


def test_a_refused_move_is_not_counted(jobs: Jobs, redis: Redis) -> None:
    claim = claimed(jobs)
    jobs.end(claim, SUCCESS)
    with pytest.raises(JobLostError):
        jobs.end(claim, REFUSED)
    assert JobCounters(redis).ended() == {("login", "succeeded"): 1}


def test_of_many_workers_one_gets_the_job(jobs: Jobs) -> None:
    job_id = new_login(jobs).job_id
    answers = at_once(lambda number: jobs.claim(job_id, f"worker-{number}"))
    winners = [answer for answer in answers if isinstance(answer, Claim)]
    assert len(winners) == 1
    assert winners[0].runs == 1
    assert sum(isinstance(answer, JobBusyError) for answer in answers) == 31


def test_of_many_endings_one_counts(jobs: Jobs, redis: Redis) -> None:
    claim = claimed(jobs)
    answers = at_once(lambda number: jobs.end(claim, REFUSED if number % 2 else SUCCESS))
    assert sum(isinstance(answer, JobLostError) for answer in answers) == 31
    assert sum(JobCounters(redis).ended().values()) == 1


@pytest.fixture
def listener(redis: Redis) -> Iterator[PubSub]:
    with redis.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.subscribe(CHANNEL)
        assert told(pubsub) == "subscribe"
        yield pubsub


def told(pubsub: PubSub) -> str:
    ends_at = time.monotonic() + 30
    while time.monotonic() < ends_at:
        message = pubsub.get_message(timeout=1)
        if message:
            data = message["data"]
            return data.decode() if isinstance(data, bytes) else str(message["type"])
    return "nothing"


def test_every_step_is_published(jobs: Jobs, redis: Redis, listener: PubSub) -> None:
    job_id = new_login(jobs).job_id
    claim = jobs.claim(job_id, "first")
    assert told(listener) == job_id
    jobs.advance(claim, JobStage.CONTACTING_GARMIN)
    assert told(listener) == job_id
    jobs.keep_progress(claim, JobStage.STORING, garmin_tokens())
    assert told(listener) == job_id
    jobs.end(claim, SUCCESS)
    assert told(listener) == job_id
    redis.publish(CHANNEL, "the last word")
    assert told(listener) == "the last word"


def test_a_refused_step_is_not_published(jobs: Jobs, redis: Redis, listener: PubSub) -> None:
    claim = claimed(jobs)
    assert told(listener) == claim.job_id
    with pytest.raises(JobBusyError):
        jobs.claim(claim.job_id, "second")
    redis.publish(CHANNEL, "the last word")
    assert told(listener) == "the last word"


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


def test_times_in_an_outcome_keep_their_zone(jobs: Jobs) -> None:
    job = new_login(jobs)
    jobs.end(jobs.claim(job.job_id, "first"), SUCCESS)
    outcome = jobs.view(job.job_id, job.poll_token.get_secret_value()).outcome
    assert isinstance(outcome, Success)
    assert outcome.session_expires_at.utcoffset() == timedelta(0)
