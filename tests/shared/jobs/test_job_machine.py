"""Any order of steps by any workers: the store and a simple model of it agree."""

import uuid

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.crypto.keyring import Keyring
from shared.errors import FitTrackError, JobLostError, JobNotFoundError
from shared.garmin.types import GarminTokens
from shared.jobs.cancellation import JobCancellation, JobNotCancellableError
from shared.jobs.claims import Claim, JobBusyError
from shared.jobs.states import (
    TRANSITIONS,
    Failure,
    JobCancelledError,
    JobKind,
    JobStage,
    JobStatus,
    Outcome,
)
from shared.redis.connection import Redis
from tests.programs import FULL
from tests.shared.jobs.both_sides import Jobs
from tests.shared.jobs.outcomes import OUTCOMES
from tests.shared.samples import (
    CREDENTIALS,
    JOB_TTL,
    SECRETS,
    everything_in,
    garmin_tokens,
    keys_that_never_expire,
)

WORKERS = st.sampled_from(["anna", "bob", "carl"])
TOKENS = garmin_tokens()
CANCELLED = Failure.of(JobCancelledError())
STATUSES = {
    0: JobStatus.SUCCEEDED,
    1: JobStatus.MFA_REQUIRED,
    2: JobStatus.FAILED,
    3: JobStatus.FAILED,
}


class JobMachine(RuleBasedStateMachine):
    """One job, its submitter and three workers. What `__init__` sets beside them is the model."""

    def __init__(self, jobs: Jobs, redis: Redis, keyring: Keyring) -> None:
        super().__init__()
        self.jobs, self.redis = jobs, redis
        redis.flushall()
        self.job = jobs.create(str(uuid.uuid4()), JobKind.LOGIN, CREDENTIALS)
        self.claims: dict[str, Claim] = {}
        self.status = JobStatus.QUEUED
        self.owner: str | None = None
        self.holder: str | None = None
        self.runs = 0
        self.progress = False
        self.stage = JobStage.WAITING_FOR_WORKER
        self.outcome: Outcome | None = None
        self.cancelled = False
        self.cancellation = JobCancellation(redis, keyring)

    def claim_of(self, worker: str) -> Claim:
        made_up = Claim(self.job.job_id, worker, JobKind.LOGIN, 1, None, None)
        return self.claims.get(worker, made_up)

    @rule(worker=WORKERS)
    def claim(self, worker: str) -> None:
        if self.status.ended:
            with pytest.raises(JobNotFoundError):
                self.jobs.claim(self.job.job_id, worker)
        elif self.holder not in (None, worker):
            with pytest.raises(JobBusyError):
                self.jobs.claim(self.job.job_id, worker)
        else:
            self.runs += self.holder is None
            claim = self.claims[worker] = self.jobs.claim(self.job.job_id, worker)
            self.status, self.owner, self.holder = JobStatus.RUNNING, worker, worker
            if not self.progress:
                self.stage = JobStage.CONTACTING_GARMIN
            assert (claim.runs, claim.cancelled) == (self.runs, self.cancelled)
            progress = self.jobs.open_progress(claim, GarminTokens)
            assert progress == (TOKENS if self.progress else None)

    @precondition(lambda machine: machine.status is not JobStatus.QUEUED)
    @rule()
    def take_back_what_a_worker_has_seen(self) -> None:
        assert self.jobs.discard(self.job.job_id) is False

    @rule()
    def let_the_lease_run_out(self) -> None:
        self.redis.delete(f"fittrack:job:{self.job.job_id}:lease")
        self.holder = None

    @rule(worker=WORKERS)
    def renew(self, worker: str) -> None:
        may = self.status is JobStatus.RUNNING and worker == self.owner
        assert self.jobs.renew(self.claim_of(worker)) is may
        if may:
            self.holder = worker

    @rule(worker=WORKERS)
    def release(self, worker: str) -> None:
        self.jobs.release(self.claim_of(worker))
        if self.owner == worker:
            self.owner = self.holder = None

    @rule(worker=WORKERS)
    def advance(self, worker: str) -> None:
        claim = self.claim_of(worker)
        if self.may_move(worker) and not self.cancelled:
            self.jobs.advance(claim, JobStage.CHECKING_CODE)
            self.stage = JobStage.CHECKING_CODE
        else:
            with pytest.raises(self.refusal(worker)):
                self.jobs.advance(claim, JobStage.CHECKING_CODE)

    @rule(worker=WORKERS)
    def keep_progress(self, worker: str) -> None:
        claim = self.claim_of(worker)
        if self.may_move(worker) and not self.cancelled:
            self.jobs.keep_progress(claim, JobStage.STORING, TOKENS)
            self.progress, self.stage = True, JobStage.STORING
        else:
            with pytest.raises(self.refusal(worker)):
                self.jobs.keep_progress(claim, JobStage.STORING, TOKENS)

    @rule(worker=WORKERS, number=st.integers(0, len(OUTCOMES) - 1))
    def end(self, worker: str, number: int) -> None:
        claim = self.claim_of(worker)
        if self.may_move(worker):
            result = self.jobs.end(claim, OUTCOMES[number])
            self.status, self.holder = STATUSES[number], None
            self.outcome = OUTCOMES[number]
            if self.cancelled:
                assert result == "cancelled"
                self.status, self.outcome = JobStatus.FAILED, CANCELLED
        else:
            with pytest.raises(JobLostError):
                self.jobs.end(claim, OUTCOMES[number])

    @rule()
    def cancel(self) -> None:
        if self.cancelled or self.outcome == CANCELLED or self.may_be_cancelled():
            self.cancel_as_submitter()
            self.cancelled = self.cancelled or self.status is JobStatus.RUNNING
            self.outcome = CANCELLED
            if self.status is not JobStatus.RUNNING:
                self.status = JobStatus.FAILED
        else:
            with pytest.raises(JobNotCancellableError):
                self.cancel_as_submitter()

    def cancel_as_submitter(self) -> None:
        self.cancellation.cancel(self.job.job_id, self.job.poll_token.get_secret_value())

    def may_be_cancelled(self) -> bool:
        if self.status is JobStatus.RUNNING:
            return self.stage is not JobStage.STORING
        return self.status in (JobStatus.QUEUED, JobStatus.MFA_REQUIRED)

    def refusal(self, worker: str) -> type[FitTrackError]:
        return JobCancelledError if self.may_move(worker) else JobLostError

    @invariant()
    def the_view_agrees(self) -> None:
        view = self.jobs.view(self.job.job_id, self.job.poll_token.get_secret_value())
        status = JobStatus.FAILED if self.cancelled else self.status
        assert (view.status, view.stage) == (status, self.stage)
        assert view.outcome == self.outcome

    @invariant()
    def a_stranger_sees_nothing(self) -> None:
        with pytest.raises(JobNotFoundError):
            self.jobs.view(self.job.job_id, self.job.poll_token.get_secret_value()[::-1])
        with pytest.raises(JobNotFoundError):
            self.cancellation.cancel(self.job.job_id, "not the poll token")

    @invariant()
    def redis_holds_what_it_may(self) -> None:
        lease = self.redis.get(f"fittrack:job:{self.job.job_id}:lease")
        assert lease == (self.holder.encode() if self.holder else None)
        assert keys_that_never_expire(self.redis) == []
        has_input = bool(self.redis.exists(f"fittrack:job:{self.job.job_id}:input"))
        assert has_input is not self.status.ended
        stored = everything_in(self.redis)
        assert not [secret for secret in SECRETS if secret.encode() in stored]

    def may_move(self, worker: str) -> bool:
        return self.status is JobStatus.RUNNING and worker == self.owner


def test_every_order_of_steps_is_as_the_model_says(redis: Redis, keyring: Keyring) -> None:
    jobs = Jobs(redis, keyring, JOB_TTL)
    run_state_machine_as_test(
        lambda: JobMachine(jobs, redis, keyring),  # type: ignore[arg-type] # it takes a factory too
        settings=settings(
            max_examples=100 if FULL else 15,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_ended_statuses_have_no_transition() -> None:
    assert {status for status in JobStatus if status.ended} == {
        JobStatus.MFA_REQUIRED,
        JobStatus.SUCCEEDED,
        JobStatus.FAILED,
    }
    assert set(TRANSITIONS) == set(JobStatus)


def test_nothing_becomes_queued_again_and_nothing_ends_without_having_run() -> None:
    assert not [s for s in JobStatus if JobStatus.QUEUED in TRANSITIONS[s]]
    assert TRANSITIONS[JobStatus.QUEUED] == {JobStatus.RUNNING}
