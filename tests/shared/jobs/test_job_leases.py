"""Leases of jobs, over real Redis and over fakeredis."""

import pytest

from shared.errors import (
    JobLostError,
)
from shared.garmin.types import Credentials, GarminTokens
from shared.jobs.claims import Claim, JobBusyError
from shared.jobs.states import (
    JobStage,
    JobStatus,
)
from shared.redis.connection import Redis
from shared.timings import PRODUCTION
from tests.shared.jobs.both_sides import Jobs
from tests.shared.jobs.outcomes import SUCCESS, claimed, lose_lease, moves, new_login, seconds_left
from tests.shared.samples import (
    CREDENTIALS,
    JOB_TTL,
    at_once,
    everything_in,
    garmin_tokens,
)


def test_a_job_that_expired_is_lost(jobs: Jobs, redis: Redis) -> None:
    claim = claimed(jobs)
    redis.delete(f"fittrack:job:{claim.job_id}")
    for move in moves(jobs, claim):
        with pytest.raises(JobLostError):
            move()
    assert not jobs.renew(claim)
    assert b"status" not in everything_in(redis)


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
    assert (view.status, view.stage) == (JobStatus.RUNNING, JobStage.CONTACTING_GARMIN)
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


def test_advancing_does_not_prolong_a_job(jobs: Jobs, redis: Redis) -> None:
    claim = claimed(jobs)
    redis.expire(f"fittrack:job:{claim.job_id}", 60)
    jobs.advance(claim, JobStage.CONTACTING_GARMIN)
    assert 0 < seconds_left(redis, claim.job_id) <= 60


def test_of_many_workers_one_gets_the_job(jobs: Jobs) -> None:
    job_id = new_login(jobs).job_id
    answers = at_once(lambda number: jobs.claim(job_id, f"worker-{number}"))
    winners = [answer for answer in answers if isinstance(answer, Claim)]
    assert len(winners) == 1
    assert winners[0].runs == 1
    assert sum(isinstance(answer, JobBusyError) for answer in answers) == 31
