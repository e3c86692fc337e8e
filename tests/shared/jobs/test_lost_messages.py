"""Messages that died with a worker are found and sent again; all others are left alone."""

import json
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from shared.crypto.keyring import Keyring
from shared.errors import GarminUnavailableError, ServiceUnavailableError
from shared.jobs.counters import JobCounters
from shared.jobs.keys import JobKeys
from shared.jobs.kinds import JOB_QUEUES
from shared.jobs.lost_messages import LostMessages
from shared.jobs.queue import JobQueue, QueuedMessages
from shared.jobs.states import Failure, JobKind, JobStage
from shared.keyspace import KeySpace
from shared.redis.connection import Redis, connect
from shared.timings import PRODUCTION
from tests.shared.jobs.both_sides import Jobs
from tests.shared.samples import (
    CREDENTIALS,
    JOB_TTL,
    SUBMISSION,
    at_once,
    garmin_tokens,
    keys_that_never_expire,
    nothing_listens,
)
from worker.celery_app import celery_app

_KEYS = JobKeys(KeySpace())


@pytest.fixture
def redis(real_redis_url: str) -> Iterator[Redis]:
    with connect(real_redis_url, timeout=30) as client:
        yield client


@pytest.fixture
def jobs(redis: Redis, keyring: Keyring) -> Jobs:
    return Jobs(redis, keyring, JOB_TTL)


@pytest.fixture
def queue(real_redis_url: str) -> JobQueue:
    return JobQueue(real_redis_url, timeout=30)


@pytest.fixture
def lost(redis: Redis, queue: JobQueue) -> LostMessages:
    return LostMessages(redis, QueuedMessages(redis), queue)


Submit = Callable[..., str]


@pytest.fixture
def submit(jobs: Jobs, queue: JobQueue) -> Submit:
    def submit(kind: JobKind = JobKind.LOGIN) -> str:
        work = CREDENTIALS if kind is JobKind.LOGIN else SUBMISSION
        job_id = jobs.create(jobs.new_id(), kind, work).job_id
        queue.put(kind, job_id)
        assert jobs.confirm(job_id)
        return job_id

    return submit


def lose_messages(redis: Redis) -> None:
    redis.delete(*(f"fittrack:celery:{name}" for name in (*JOB_QUEUES, "unacked")))


def let_time_pass(redis: Redis) -> None:
    """As if every job had last been looked at long ago."""
    for job_id in cast("list[bytes]", redis.zrange(_KEYS.open, 0, -1)):
        redis.zincrby(_KEYS.open, -PRODUCTION.lost_message * 1000 - 1, job_id)


def messages(redis: Redis, queue: str) -> list[str]:
    raw = cast("list[bytes]", redis.lrange(f"fittrack:celery:{queue}", 0, -1))
    return [json.loads(message)["headers"]["id"] for message in raw]


def test_a_lost_message_is_sent_again_to_its_own_queue(
    redis: Redis, lost: LostMessages, submit: Submit
) -> None:
    login, code = submit(), submit(JobKind.MFA_COMPLETION)
    lose_messages(redis)
    let_time_pass(redis)
    assert set(lost.resend()) == {login, code}
    assert (messages(redis, "login"), messages(redis, "mfa")) == ([login], [code])


def test_a_message_is_given_time_to_reach_a_worker(
    redis: Redis, lost: LostMessages, submit: Submit
) -> None:
    submit()
    lose_messages(redis)
    assert lost.resend() == []


def test_of_many_workers_one_sends_it(redis: Redis, lost: LostMessages, submit: Submit) -> None:
    job_id = submit()
    lose_messages(redis)
    let_time_pass(redis)
    sent = at_once(lambda _: lost.resend(), threads=8)
    assert sorted(map(str, sent)) == sorted([str([job_id]), *["[]"] * 7])
    assert messages(redis, "login") == [job_id]


def test_it_is_sent_again_as_often_as_it_gets_lost(
    redis: Redis, lost: LostMessages, submit: Submit
) -> None:
    job_id = submit()
    for _ in range(3):
        lose_messages(redis)
        let_time_pass(redis)
        assert lost.resend() == [job_id]


def test_a_job_that_waits_in_a_long_queue_is_not_sent_again(
    redis: Redis, lost: LostMessages, submit: Submit
) -> None:
    for _ in range(20):
        submit()
    for _ in range(3):
        let_time_pass(redis)
        assert lost.resend() == []
    assert len(messages(redis, "login")) == 20


def test_a_message_that_a_worker_has_in_hand_is_not_lost(
    redis: Redis, real_redis_url: str, lost: LostMessages, submit: Submit
) -> None:
    submit()
    with celery_app(real_redis_url).connection_for_read() as connection:
        connection.SimpleQueue("login").get()
        assert messages(redis, "login") == []
        let_time_pass(redis)
        assert lost.resend() == []


def test_a_job_that_a_worker_holds_is_left_alone_until_it_is_given_back(
    redis: Redis, jobs: Jobs, lost: LostMessages, submit: Submit
) -> None:
    job_id = submit()
    claim = jobs.claim(job_id, "a worker")
    lose_messages(redis)
    let_time_pass(redis)
    assert lost.resend() == []

    let_time_pass(redis)
    jobs.release(claim)
    assert lost.resend() == []  # its message has time to come back
    let_time_pass(redis)
    assert lost.resend() == [job_id]


def test_a_job_whose_worker_died_is_found(
    redis: Redis, jobs: Jobs, lost: LostMessages, submit: Submit
) -> None:
    job_id = submit()
    jobs.claim(job_id, "a worker")
    redis.delete(f"fittrack:job:{job_id}:lease")
    lose_messages(redis)
    let_time_pass(redis)
    assert lost.resend() == [job_id]


def test_a_job_that_waits_for_the_database_is_found(
    redis: Redis, jobs: Jobs, lost: LostMessages, submit: Submit
) -> None:
    job_id = submit()
    claim = jobs.claim(job_id, "a worker")
    jobs.keep_progress(claim, JobStage.STORING, garmin_tokens())
    jobs.release(claim)
    lose_messages(redis)
    let_time_pass(redis)
    assert lost.resend() == [job_id]


def test_a_job_that_was_never_known_to_be_sent_is_not_sent(
    redis: Redis, jobs: Jobs, lost: LostMessages
) -> None:
    """Its submitter got an error, and may have submitted another."""
    jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS)
    let_time_pass(redis)
    assert lost.resend() == []


def test_jobs_that_have_ended_expired_or_were_taken_back_are_no_longer_looked_after(
    redis: Redis, jobs: Jobs, lost: LostMessages, submit: Submit
) -> None:
    ended, expired = submit(), submit()
    taken_back = jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS).job_id
    assert jobs.discard(taken_back)
    jobs.end(jobs.claim(ended, "a worker"), Failure.of(GarminUnavailableError()))
    assert jobs.confirm(ended)  # the API comes late
    redis.delete(f"fittrack:job:{expired}")
    lose_messages(redis)
    let_time_pass(redis)
    assert lost.resend() == []
    assert redis.zcard(_KEYS.open) == 0


def test_what_could_not_be_sent_is_sent_later(
    redis: Redis, jobs: Jobs, queue: JobQueue, lost: LostMessages, submit: Submit
) -> None:
    job_id = submit()
    lose_messages(redis)
    let_time_pass(redis)
    away = JobQueue(f"redis://{nothing_listens()}/0", timeout=1)
    with pytest.raises(ServiceUnavailableError):
        LostMessages(redis, QueuedMessages(redis), away).resend()
    let_time_pass(redis)
    assert lost.resend() == [job_id]


def test_the_indexes_expire(redis: Redis, jobs: Jobs, submit: Submit) -> None:
    jobs.claim(submit(), "a worker")
    submit()
    names = keys_that_never_expire(redis)
    assert not [name for name in names if not name.startswith(b"fittrack:celery:")]


def test_without_workers_the_indexes_hold_no_expired_jobs(
    redis: Redis, jobs: Jobs, submit: Submit
) -> None:
    """Workers alone claim and look for jobs; new jobs keep both indexes from expiring."""
    expired = submit()
    redis.delete(f"fittrack:job:{expired}")
    lifetime = (JOB_TTL + PRODUCTION.progress_ttl) * 1000
    redis.zincrby(_KEYS.open, -lifetime - PRODUCTION.lost_message * 1000, expired)
    redis.zincrby(_KEYS.queued("login"), -JOB_TTL * 1000, expired)
    waiting = submit()
    assert redis.zrange(_KEYS.open, 0, -1) == [waiting.encode()]
    assert redis.zrange(_KEYS.queued("login"), 0, -1) == [waiting.encode()]


def test_a_job_counts_as_waiting_until_a_worker_has_it_however_many_messages_it_has(
    redis: Redis, jobs: Jobs, queue: JobQueue, submit: Submit
) -> None:
    counters = JobCounters(redis)
    first, second, code = submit(), submit(), submit(JobKind.MFA_COMPLETION)
    queue.put(JobKind.LOGIN, first)
    assert counters.queued(JOB_QUEUES) == {"login": 2, "mfa": 1, "refresh": 0}
    jobs.claim(first, "a worker")
    jobs.claim(code, "a worker")
    assert counters.queued(JOB_QUEUES) == {"login": 1, "mfa": 0, "refresh": 0}
    redis.zadd("fittrack:jobs:queued:login", {second: 1})  # it has expired
    assert counters.queued(JOB_QUEUES) == {"login": 0, "mfa": 0, "refresh": 0}


@pytest.mark.parametrize("stranger", [b"\xff", b"", b"unknown", b"{job}:input", b"{job}:lease"])
def test_an_entry_that_names_no_job_keeps_no_other_from_being_found(
    redis: Redis, jobs: Jobs, lost: LostMessages, submit: Submit, stranger: bytes
) -> None:
    held, job_id = submit(), submit()
    jobs.claim(held, "a worker")
    redis.zadd(_KEYS.open, {stranger.replace(b"{job}", held.encode()): 1})
    lose_messages(redis)
    let_time_pass(redis)
    assert lost.resend() == [job_id]
    assert redis.zcard(_KEYS.open) == 2


def test_a_job_that_was_taken_back_does_not_count_as_waiting(redis: Redis, jobs: Jobs) -> None:
    job_id = jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS).job_id
    assert jobs.discard(job_id)
    assert JobCounters(redis).queued(JOB_QUEUES) == {"login": 0, "mfa": 0, "refresh": 0}


def test_the_broker_gives_a_message_back_before_its_job_is_looked_at_again() -> None:
    assert PRODUCTION.visibility_timeout + 5 < PRODUCTION.lost_message
