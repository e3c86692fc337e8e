"""Outcomes of jobs, and jobs in the states that tests begin with."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from shared.errors import (
    GarminRateLimitedError,
    MfaCodeInvalidError,
)
from shared.jobs.claims import Claim
from shared.jobs.repeats import NewJob
from shared.jobs.states import (
    CodeRequested,
    Failure,
    JobKind,
    JobStage,
    Outcome,
    Success,
)
from shared.redis.connection import Redis
from tests.shared.jobs.both_sides import Jobs
from tests.shared.samples import (
    ACCESS_TOKEN,
    CHALLENGE_ID,
    CREDENTIALS,
    garmin_tokens,
)

SOON = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
SUCCESS = Success(
    session_id="0b6d5d0e-6e0e-4a53-9a3e-4f5b1c0f7a11",
    access_token=SecretStr(ACCESS_TOKEN),
    session_expires_at=SOON,
    user_id="7e1d2c3b-4a59-4687-9f0e-1d2c3b4a5968",
    display_name="Anna",
)
CODE_REQUIRED = CodeRequested(
    challenge_id=SecretStr(CHALLENGE_ID),
    mfa_type="email",
    mfa_destination="an*****@example.com",
    expires_at=SOON,
    attempts_left=3,
)
WRONG_CODE = Failure.of(MfaCodeInvalidError().with_challenge(SecretStr(CHALLENGE_ID), 2))
REFUSED = Failure.of(GarminRateLimitedError(77))
OUTCOMES: list[Outcome] = [SUCCESS, CODE_REQUIRED, WRONG_CODE, REFUSED]
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


def moves(jobs: Jobs, claim: Claim) -> list[Callable[[], object]]:
    return [
        lambda: jobs.advance(claim, JobStage.CHECKING_CODE),
        lambda: jobs.keep_progress(claim, JobStage.STORING, garmin_tokens()),
        lambda: jobs.end(claim, SUCCESS),
    ]
