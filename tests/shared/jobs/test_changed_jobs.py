"""Jobs that somebody changed in Redis, or that a newer version wrote: over both Redis servers."""

import json
import uuid

import pytest

from shared.crypto.keyring import Keyring, Purpose
from shared.errors import InternalJobError, JobNotFoundError, SealBrokenError
from shared.garmin.types import Credentials, GarminTokens
from shared.jobs.states import Failure, JobKind, JobStage, Success
from shared.origin import Origin
from shared.redis.connection import Redis
from tests.shared.jobs.both_sides import Jobs
from tests.shared.jobs.outcomes import REFUSED, SUCCESS, lose_lease, new_login
from tests.shared.samples import CREDENTIALS, garmin_tokens

OURS = Origin(
    account="keyed-hash", client_id=uuid.UUID(int=2), client_user_id="member-1", address="192.0.2.1"
)
FORGED = [
    {"client_user_id": "member-2"},
    {"client_id": str(uuid.UUID(int=1))},
    {"client_id": None},
    {"address": "192.0.2.2"},
    {"account": None},
    {"began_at": 1},
]


@pytest.mark.parametrize("change", FORGED, ids=str)
def test_a_changed_origin_opens_nothing_of_its_job(
    jobs: Jobs, redis: Redis, change: dict[str, str | int | None]
) -> None:
    """Whoever writes to Redis can't connect a sign-in to another app or another person of it."""
    job = jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS, OURS)
    claim = jobs.claim(job.job_id, "first")
    jobs.keep_progress(claim, JobStage.STORING, garmin_tokens())
    forged = json.dumps(claim.origin.model_dump(mode="json", exclude_none=True) | change)
    redis.hset(f"fittrack:job:{job.job_id}", "origin", forged)
    lose_lease(redis, job.job_id)
    later = jobs.claim(job.job_id, "second")
    with pytest.raises(SealBrokenError):
        jobs.open_input(later, Credentials)
    with pytest.raises(SealBrokenError):
        jobs.open_progress(later, GarminTokens)

    redis.hset(
        f"fittrack:job:{job.job_id}", "origin", claim.origin.model_dump_json(exclude_none=True)
    )
    jobs.end(jobs.claim(job.job_id, "second"), SUCCESS)
    redis.hset(f"fittrack:job:{job.job_id}", "origin", forged)
    view = jobs.view(job.job_id, job.poll_token.get_secret_value())
    assert view.outcome == Failure.of(InternalJobError())


@pytest.mark.parametrize("origin", ["", "nonsense", "[]", b"\xff", '{"client_id": "app"}'])
def test_an_unreadable_origin_opens_nothing(jobs: Jobs, redis: Redis, origin: str | bytes) -> None:
    job = jobs.create(jobs.new_id(), JobKind.LOGIN, CREDENTIALS, OURS)
    redis.hset(f"fittrack:job:{job.job_id}", "origin", origin)
    claim = jobs.claim(job.job_id, "first")
    with pytest.raises(SealBrokenError):
        jobs.open_input(claim, Credentials)


def test_a_job_of_an_unknown_kind_is_left_to_who_knows_it(jobs: Jobs, redis: Redis) -> None:
    job = new_login(jobs)
    redis.hset(f"fittrack:job:{job.job_id}", "kind", "of_a_newer_version")
    with pytest.raises(JobNotFoundError):
        jobs.claim(job.job_id, "first")
    redis.hset(f"fittrack:job:{job.job_id}", "kind", "login")
    assert jobs.claim(job.job_id, "second").runs == 1


@pytest.mark.parametrize("name", ["kind", "status", "stage", "origin", "outcome"])
@pytest.mark.parametrize("value", [None, "", "of_a_newer_version", b"\xff\0"])
@pytest.mark.parametrize("outcome", [None, SUCCESS], ids=["running", "ended"])
def test_no_field_of_a_job_breaks_its_poll(
    jobs: Jobs, redis: Redis, outcome: Success | None, name: str, value: str | bytes | None
) -> None:
    job = new_login(jobs)
    claim = jobs.claim(job.job_id, "first")
    if outcome:
        jobs.end(claim, outcome)
    key = f"fittrack:job:{job.job_id}"
    if value is None:
        redis.hdel(key, name)
    else:
        redis.hset(key, name, value)
    view = jobs.view(job.job_id, job.poll_token.get_secret_value())
    assert view.status.ended == (outcome is not None or name == "status")
    assert view.stage in JobStage
    assert view.outcome in (None, outcome, Failure.of(InternalJobError()))


def test_an_outcome_of_a_newer_version_is_no_bug(
    jobs: Jobs, redis: Redis, keyring: Keyring
) -> None:
    job = new_login(jobs)
    claim = jobs.claim(job.job_id, "first")
    jobs.end(claim, REFUSED)
    newer = json.dumps({"code": "of_a_newer_version"}).encode()
    sealed = keyring.seal(newer, Purpose.JOB_OUTCOME, claim.subject)
    redis.hset(f"fittrack:job:{job.job_id}", "outcome", sealed)
    view = jobs.view(job.job_id, job.poll_token.get_secret_value())
    assert view.outcome == Failure.of(InternalJobError())
