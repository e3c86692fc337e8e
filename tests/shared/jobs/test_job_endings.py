"""How jobs end, and how each step is published, over real Redis and over fakeredis."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from redis.client import PubSub

from shared.errors import (
    JobLostError,
)
from shared.jobs.claims import JobBusyError
from shared.jobs.counters import JobCounters
from shared.jobs.keys import JobKeys
from shared.jobs.states import (
    JobKind,
    JobStage,
    Outcome,
    Success,
)
from shared.redis.connection import Redis
from shared.timings import PRODUCTION
from tests.shared.jobs.both_sides import Jobs
from tests.shared.jobs.outcomes import (
    CODE_REQUIRED,
    REFUSED,
    SUCCESS,
    WRONG_CODE,
    claimed,
    each_outcome,
    moves,
    new_login,
    seconds_left,
)
from tests.shared.samples import (
    JOB_TTL,
    SUBMISSION,
    at_once,
    garmin_tokens,
)


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
        (CODE_REQUIRED, "mfa_required"),
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


def test_ended_jobs_are_counted_by_result(jobs: Jobs, redis: Redis) -> None:
    for outcome in (SUCCESS, SUCCESS, CODE_REQUIRED, REFUSED):
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


def test_of_many_endings_one_counts(jobs: Jobs, redis: Redis) -> None:
    claim = claimed(jobs)
    answers = at_once(lambda number: jobs.end(claim, REFUSED if number % 2 else SUCCESS))
    assert sum(isinstance(answer, JobLostError) for answer in answers) == 31
    assert sum(JobCounters(redis).ended().values()) == 1


@pytest.fixture
def listener(redis: Redis) -> Iterator[PubSub]:
    with redis.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.subscribe(JobKeys(redis.keyspace).channel)
        assert next_message(pubsub) == "subscribe"
        yield pubsub


def next_message(pubsub: PubSub) -> str:
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
    assert next_message(listener) == job_id
    jobs.advance(claim, JobStage.CONTACTING_GARMIN)
    assert next_message(listener) == job_id
    jobs.keep_progress(claim, JobStage.STORING, garmin_tokens())
    assert next_message(listener) == job_id
    jobs.end(claim, SUCCESS)
    assert next_message(listener) == job_id
    redis.publish(JobKeys(redis.keyspace).channel, "the end")
    assert next_message(listener) == "the end"


def test_a_refused_step_is_not_published(jobs: Jobs, redis: Redis, listener: PubSub) -> None:
    claim = claimed(jobs)
    assert next_message(listener) == claim.job_id
    with pytest.raises(JobBusyError):
        jobs.claim(claim.job_id, "second")
    redis.publish(JobKeys(redis.keyspace).channel, "the end")
    assert next_message(listener) == "the end"


def test_times_in_an_outcome_keep_their_zone(jobs: Jobs) -> None:
    job = new_login(jobs)
    jobs.end(jobs.claim(job.job_id, "first"), SUCCESS)
    outcome = jobs.view(job.job_id, job.poll_token.get_secret_value()).outcome
    assert isinstance(outcome, Success)
    assert outcome.session_expires_at.utcoffset() == timedelta(0)
