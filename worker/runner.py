"""Runs jobs of any kind: claims, leases, deadlines."""

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from shared.crypto.tokens import new_token
from shared.errors import (
    InternalJobError,
    InterruptedSignInError,
    JobLostError,
    SealBrokenError,
    ServiceUnavailableError,
    SignInError,
    TimedOutError,
)
from shared.jobs.claims import Claim, JobClaims
from shared.jobs.kinds import KINDS
from shared.jobs.states import Failure, JobCancelledError, JobKind, Outcome, Success
from shared.logs.context import job_context
from shared.logs.locations import where
from shared.redis.measurements import JOB_SECONDS, Measurements
from shared.timings import PRODUCTION, Timings
from worker.handlers.handler import Handler
from worker.lease import Lease, LeaseKeeper
from worker.marks import RunMarks
from worker.run import PostponedError, Run
from worker.shares import ThreadShares

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobRunner:
    """One for a worker process, used by all its threads."""

    claims: JobClaims
    keeper: LeaseKeeper
    marks: RunMarks
    handlers: Mapping[JobKind, Handler]
    shares: ThreadShares
    timings: Timings = PRODUCTION
    measurements: Measurements = field(default_factory=Measurements)

    def run(self, job_id: str) -> str:
        """Run one job to completion; return its result code.

        Raises JobNotFoundError (nothing to do), JobBusyError (another worker has it),
        PostponedError (come back later), ServiceUnavailableError (Redis is away); and, of a job
        that has not been begun, ShareUsedUpError and NoThreadFreeError.
        """
        with self.shares.hold(*self.claims.look_at(job_id)):
            return self._run(job_id)

    def _run(self, job_id: str) -> str:
        claim = self.claims.claim(job_id, owner=new_token())
        kind, handler = KINDS[claim.kind], self.handlers[claim.kind]

        def run_of(lease: Lease) -> Run:
            return Run(claim, self.timings, self.claims, self.marks, lease)

        def time_out(lease: Lease) -> None:
            self.claims.end(claim, handler.time_out(run_of(lease)))
            self._observe(claim)

        with (
            job_context(job_id, claim.origin.request_id),
            self.keeper.hold(claim, kind.deadline(self.timings), time_out) as lease,
        ):
            job = run_of(lease)
            try:
                result = self._end(job, self._outcome(job, handler))
            except JobLostError:
                _log.warning("job %s was lost to its deadline or to another worker", job_id)
                return "lost"
            except (PostponedError, ServiceUnavailableError):
                self._release(job)
                raise
            self._observe(claim)
            _log.info("%s ended: %s", claim.kind, result)
            return result

    def _observe(self, claim: Claim) -> None:
        self.measurements.observe(JOB_SECONDS, time.monotonic() - claim.sent_at, claim.kind)

    def _end(self, job: Run, outcome: Outcome) -> str:
        """End the job; return its result code. Raises ServiceUnavailableError at its deadline."""
        try:
            result = job.persist(lambda: self.claims.end(job.claim, outcome))
        except TimedOutError:
            raise ServiceUnavailableError("redis") from None
        # A success is marked where it is stored.
        if KINDS[job.claim.kind].marked and not isinstance(outcome, Success):
            self.marks.end(job.claim)
        return result

    def _release(self, job: Run) -> None:
        """Give the job back. If Redis does not come back in time, its lease runs out."""
        with suppress(ServiceUnavailableError, TimedOutError, JobLostError):
            job.retry(lambda: self.claims.release(job.claim), ServiceUnavailableError)

    def _outcome(self, job: Run, handler: Handler) -> Outcome:
        job_id = job.claim.job_id
        try:
            if job.claim.cancelled:
                raise JobCancelledError
            if job.claim.progress is None and not self._may_ask_garmin(job.claim):
                raise InterruptedSignInError
            return handler.run(job)
        except SignInError as error:
            return Failure.of(error)
        except SealBrokenError:
            _log.error("job %s: a sealed value does not open", job_id)  # noqa: TRY400, RUF100
        except (PostponedError, ServiceUnavailableError, JobLostError):
            raise
        except Exception as error:
            _log.error("job %s: bug: %s", job_id, where(error))  # noqa: TRY400, RUF100
        return Failure.of(InternalJobError())

    def _may_ask_garmin(self, claim: Claim) -> bool:
        """Whether another run is allowed, and none is known of that Redis has forgotten."""
        kind = KINDS[claim.kind]
        return claim.runs <= kind.max_runs and (not kind.marked or self.marks.begin(claim))
