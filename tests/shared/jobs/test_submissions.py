"""Jobs that repeat another, and jobs of one account."""

import pytest

from shared.errors import (
    IdempotencyKeyReusedError,
    JobNotFoundError,
    SignInInProgressError,
    TimedOutError,
)
from shared.jobs.repeats import NewJob, Repeatable
from shared.jobs.states import Failure, JobKind, JobStage
from shared.origin import Origin
from shared.redis.connection import Redis
from tests.shared.jobs.both_sides import Jobs
from tests.shared.samples import (
    CREDENTIALS,
    JOB_TTL,
    SUBMISSION,
    at_once,
    everything_in,
    garmin_tokens,
    keys_that_never_expire,
)

ANNA = Origin(account="hash-of-anna", address="192.0.2.7", request_id="r-1")
AGAIN = Repeatable(name="name", body="body")


def login(jobs: Jobs, origin: Origin = ANNA, again: Repeatable | None = None) -> NewJob:
    return jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS, origin, again)


def code(jobs: Jobs) -> NewJob:
    return jobs.create(jobs.new_id(), JobKind.MFA_COMPLETION, SUBMISSION, ANNA)


def end(jobs: Jobs, job: NewJob) -> None:
    jobs.end(jobs.claim(job.job_id, "w"), Failure.of(TimedOutError()))


# One sign-in at a time


def test_a_second_sign_in_waits_for_the_first(jobs: Jobs) -> None:
    first = login(jobs)
    for _ in range(2):
        with pytest.raises(SignInInProgressError) as caught:
            login(jobs)
        assert caught.value.retry_after > 0
    jobs.claim(first.job_id, "w")
    with pytest.raises(SignInInProgressError):
        login(jobs)


def test_a_refused_sign_in_leaves_nothing(jobs: Jobs, redis: Redis) -> None:
    login(jobs)
    before = set(redis.scan_iter())
    with pytest.raises(SignInInProgressError):
        login(jobs)
    assert set(redis.scan_iter()) == before


def test_the_lock_ends_with_its_job(jobs: Jobs) -> None:
    for _ in range(3):
        end(jobs, login(jobs))


def test_the_lock_ends_with_a_job_that_was_taken_back_or_has_expired(
    jobs: Jobs, redis: Redis
) -> None:
    assert jobs.discard(login(jobs).job_id)
    expired = login(jobs)
    redis.delete(f"fittrack:job:{expired.job_id}")
    login(jobs)


def test_ending_one_job_keeps_the_lock_of_another(jobs: Jobs) -> None:
    code_job = code(jobs)
    with pytest.raises(SignInInProgressError):
        login(jobs)
    other_code = code(jobs)  # checked in any case
    end(jobs, other_code)
    with pytest.raises(SignInInProgressError):
        login(jobs)
    end(jobs, code_job)
    login(jobs)


def test_creating_the_same_job_twice_is_harmless(
    jobs: Jobs,
) -> None:
    job_id = jobs.new_id()
    for _ in range(2):  # as redis-py does it when a connection breaks
        assert jobs.create(job_id, JobKind.LOGIN, CREDENTIALS, ANNA).job_id == job_id


def test_a_job_whose_message_was_never_sent_holds_its_account_for_a_moment_only(
    jobs: Jobs, redis: Redis
) -> None:
    stray, sent = login(jobs), login(jobs, Origin(account="hash-of-bob"))
    assert jobs.confirm(sent.job_id)
    for job in (stray, sent):
        redis.hincrby(f"fittrack:job:{job.job_id}", "sent_at", -16_000)
    login(jobs)
    with pytest.raises(SignInInProgressError):
        login(jobs, Origin(account="hash-of-bob"))


def test_other_accounts_and_unknown_ones_are_not_kept_waiting(jobs: Jobs) -> None:
    login(jobs)
    login(jobs, Origin(account="hash-of-bob"))
    for _ in range(2):
        login(jobs, Origin())


def test_of_many_sign_ins_at_once_one_is_taken(jobs: Jobs) -> None:
    answers = at_once(lambda _: login(jobs))
    assert len([a for a in answers if isinstance(a, NewJob)]) == 1
    assert len([a for a in answers if isinstance(a, SignInInProgressError)]) == len(answers) - 1


def test_the_lock_lives_as_long_as_its_job(jobs: Jobs, redis: Redis) -> None:
    job = login(jobs, again=AGAIN)
    names = ["fittrack:account:hash-of-anna", "fittrack:idempotency:name"]
    for name in [f"fittrack:job:{job.job_id}", *names]:
        assert 0 < redis.ttl(name) <= JOB_TTL
    for name in [f"fittrack:job:{job.job_id}", *names]:
        redis.expire(name, 10)
    jobs.keep_progress(jobs.claim(job.job_id, "w"), JobStage.STORING, garmin_tokens())
    lives = redis.ttl(f"fittrack:job:{job.job_id}")
    assert lives > 10
    assert [redis.ttl(name) for name in names] == pytest.approx([lives, lives], abs=2)


# Idempotency


def test_the_same_submission_answers_the_same_job(jobs: Jobs) -> None:
    assert jobs.find_repeated(AGAIN) is None
    first = login(jobs, again=AGAIN)
    for second in (login(jobs, again=AGAIN), jobs.find_repeated(AGAIN)):
        assert second is not None
        assert second.job_id == first.job_id
        assert second.poll_token == first.poll_token
        assert 0 < second.expires_in <= JOB_TTL


def test_a_repeat_finds_the_job_until_it_has_expired(jobs: Jobs, redis: Redis) -> None:
    first = login(jobs, again=AGAIN)
    end(jobs, first)
    again = jobs.find_repeated(AGAIN)
    assert again is not None
    assert again.job_id == first.job_id
    redis.delete(f"fittrack:job:{first.job_id}")
    assert jobs.find_repeated(AGAIN) is None
    assert login(jobs, again=AGAIN).job_id != first.job_id


def test_another_body_is_refused(jobs: Jobs) -> None:
    login(jobs, again=AGAIN)
    other = Repeatable("name", "other body")
    with pytest.raises(IdempotencyKeyReusedError):
        jobs.find_repeated(other)
    with pytest.raises(IdempotencyKeyReusedError):
        login(jobs, again=other)


def test_of_many_equal_submissions_at_once_all_get_one_job(jobs: Jobs) -> None:
    answers = at_once(lambda _: login(jobs, again=AGAIN))
    assert all(isinstance(answer, NewJob) for answer in answers)
    assert len({answer.job_id for answer in answers if isinstance(answer, NewJob)}) == 1


def test_a_message_that_nobody_has_confirmed_is_to_be_sent_again(jobs: Jobs) -> None:
    first = login(jobs, again=AGAIN)
    assert login(jobs, again=AGAIN).unsent
    assert jobs.confirm(first.job_id)
    assert not login(jobs, again=AGAIN).unsent


def test_a_job_that_a_worker_has_needs_no_message(jobs: Jobs) -> None:
    jobs.claim(login(jobs, again=AGAIN).job_id, "w")
    assert not login(jobs, again=AGAIN).unsent


def test_a_job_whose_message_somebody_has_sent_is_not_taken_back(jobs: Jobs) -> None:
    job = login(jobs, again=AGAIN)
    assert jobs.confirm(job.job_id)
    assert not jobs.discard(job.job_id)


def test_a_job_that_was_taken_back_can_not_be_confirmed(jobs: Jobs, redis: Redis) -> None:
    job = login(jobs, again=AGAIN)
    assert jobs.discard(job.job_id)
    assert not jobs.confirm(job.job_id)
    assert jobs.find_repeated(AGAIN) is None
    assert list(redis.scan_iter()) == [b"fittrack:events"]
    with pytest.raises(JobNotFoundError):
        jobs.view(job.job_id, job.poll_token.get_secret_value())


def test_the_poll_token_is_kept_sealed_and_for_its_own_job(jobs: Jobs, redis: Redis) -> None:
    first = login(jobs, again=AGAIN)
    other = login(jobs, Origin(), Repeatable("other", "body"))
    kept = everything_in(redis)
    for job in (first, other):
        assert job.poll_token.get_secret_value().encode() not in kept
    moved = redis.hget("fittrack:idempotency:other", "poll_token")
    assert isinstance(moved, bytes)
    redis.hset("fittrack:idempotency:name", "poll_token", moved)
    with pytest.raises(IdempotencyKeyReusedError):
        jobs.find_repeated(AGAIN)


def test_everything_expires(jobs: Jobs, redis: Redis) -> None:
    end(jobs, login(jobs, again=AGAIN))
    code(jobs)
    assert keys_that_never_expire(redis) == []
