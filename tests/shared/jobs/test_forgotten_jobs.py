"""Jobs whose message got lost, over real Redis and over fakeredis."""

import pytest
from redis import Redis

from shared.errors import GarminUnavailableError
from shared.jobs.states import Failure, JobKind, JobStage
from shared.jobs.store import JobStore
from shared.timings import PRODUCTION
from tests.shared.samples import CREDENTIALS, at_once, garmin_tokens


@pytest.fixture
def job_id(jobs: JobStore) -> str:
    return jobs.create(JobStore.new_id(), JobKind.LOGIN, CREDENTIALS).job_id


def let_time_pass(redis: Redis, job_id: str) -> None:
    """As if its message had been sent that long ago."""
    redis.hincrby(f"fittrack:job:{job_id}", "sent_at", -int(PRODUCTION.lost_message * 1000) - 1)


def test_a_job_just_sent_is_not_forgotten(jobs: JobStore, job_id: str) -> None:
    assert not jobs.is_forgotten(job_id)


def test_a_job_that_nobody_took_is_forgotten_once_in_a_while(
    jobs: JobStore, redis: Redis, job_id: str
) -> None:
    for _ in range(2):
        let_time_pass(redis, job_id)
        assert at_once(lambda _: jobs.is_forgotten(job_id), threads=8).count(True) == 1


def test_a_job_is_forgotten_when_its_worker_is_gone_and_not_before(
    jobs: JobStore, redis: Redis, job_id: str
) -> None:
    claim = jobs.claim(job_id, "a-worker")
    let_time_pass(redis, job_id)
    assert not jobs.is_forgotten(job_id)

    jobs.release(claim)
    assert jobs.is_forgotten(job_id)


def test_a_job_that_waits_for_the_database_is_not_forgotten(
    jobs: JobStore, redis: Redis, job_id: str
) -> None:
    claim = jobs.claim(job_id, "a-worker")
    jobs.keep_progress(claim, JobStage.STORING, garmin_tokens())
    jobs.release(claim)
    let_time_pass(redis, job_id)

    assert not jobs.is_forgotten(job_id)


def test_a_job_that_has_ended_or_is_gone_is_not_forgotten(
    jobs: JobStore, redis: Redis, job_id: str
) -> None:
    jobs.end(jobs.claim(job_id, "a-worker"), Failure.of(GarminUnavailableError()))
    let_time_pass(redis, job_id)

    assert not jobs.is_forgotten(job_id)
    assert not jobs.is_forgotten(JobStore.new_id())


def test_the_broker_gives_a_message_back_before_it_counts_as_lost() -> None:
    assert PRODUCTION.visibility_timeout + 5 < PRODUCTION.lost_message
