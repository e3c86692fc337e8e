"""How long a job is there: short while it is only asked for, long while it holds what Garmin gave.

Time is moved: what is looked at is the time to live that Redis keeps.
"""

import pytest

from shared.crypto.keyring import Keyring
from shared.errors import JobNotFoundError, TimedOutError
from shared.garmin.types import GarminTokens
from shared.jobs.claims import Claim
from shared.jobs.repeats import NewJob
from shared.jobs.states import Failure, JobKind, JobStage, JobStatus
from shared.redis.connection import Redis
from shared.timings import PRODUCTION
from tests.shared.jobs.both_sides import Jobs
from tests.shared.samples import CREDENTIALS, JOB_TTL, garmin_tokens

ENDED = Failure.of(TimedOutError())
DAY = 86_400
SLACK = 60
"""What may have passed meanwhile, in seconds."""


def new_job(jobs: Jobs) -> NewJob:
    return jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS)


def holding_tokens(jobs: Jobs) -> tuple[NewJob, Claim]:
    """A job for which Garmin has given tokens, and which could not store them yet."""
    job = new_job(jobs)
    claim = jobs.claim(job.job_id, "first")
    jobs.keep_progress(claim, JobStage.STORING, garmin_tokens())
    return job, claim


def seconds_left(redis: Redis, job: NewJob | Claim, part: str = "") -> float:
    return redis.pttl(f"fittrack:job:{job.job_id}{part}") / 1000


def pass_time(redis: Redis, job: NewJob, seconds: int) -> None:
    """As if that much of every key's life were over; what has run out is gone."""
    for key in redis.scan_iter(f"fittrack:job:{job.job_id}*"):
        redis.pexpire(key, max(0, redis.pttl(key) - seconds * 1000))


def test_tokens_wait_a_day_for_a_database(jobs: Jobs, redis: Redis) -> None:
    job, _ = holding_tokens(jobs)
    assert DAY - SLACK < seconds_left(redis, job) <= DAY == PRODUCTION.progress_ttl


def test_a_job_that_holds_tokens_outlives_the_usual_time(jobs: Jobs, redis: Redis) -> None:
    job, claim = holding_tokens(jobs)
    jobs.release(claim)
    pass_time(redis, job, DAY - SLACK)
    view = jobs.view(job.job_id, job.poll_token.get_secret_value())
    assert (view.status, view.stage) == (JobStatus.RUNNING, JobStage.STORING)
    again = jobs.claim(job.job_id, "second")
    assert jobs.open_progress(again, GarminTokens) is not None
    pass_time(redis, job, SLACK)
    with pytest.raises(JobNotFoundError):
        jobs.claim(job.job_id, "third")


def test_the_password_does_not_wait_as_long(jobs: Jobs, redis: Redis) -> None:
    job, _ = holding_tokens(jobs)
    assert 0 < seconds_left(redis, job, ":input") <= JOB_TTL


def test_a_job_without_tokens_lives_the_usual_time(jobs: Jobs, redis: Redis) -> None:
    job = new_job(jobs)
    claim = jobs.claim(job.job_id, "first")
    jobs.advance(claim, JobStage.CONTACTING_GARMIN)
    assert JOB_TTL - SLACK < seconds_left(redis, job) <= JOB_TTL
    pass_time(redis, job, JOB_TTL)
    with pytest.raises(JobNotFoundError):
        jobs.claim(job.job_id, "second")


@pytest.mark.parametrize("waited", [0, JOB_TTL * 2, DAY - JOB_TTL // 2])
def test_an_outcome_that_was_long_in_coming_can_be_polled_for_the_usual_time(
    jobs: Jobs, redis: Redis, waited: int
) -> None:
    job, claim = holding_tokens(jobs)
    pass_time(redis, job, waited)
    jobs.end(claim, ENDED)
    least = min(JOB_TTL, DAY - waited)
    assert max(least, PRODUCTION.outcome_ttl) - SLACK < seconds_left(redis, job) <= JOB_TTL


def test_a_longer_usual_time_is_kept(redis: Redis, keyring: Keyring) -> None:
    jobs = Jobs(redis, keyring, DAY * 2)
    job, claim = holding_tokens(jobs)
    assert seconds_left(redis, job) > DAY * 2 - SLACK
    jobs.end(claim, ENDED)
    assert seconds_left(redis, job) > DAY * 2 - SLACK
