"""Runs jobs of any kind: claims, leases, deadlines."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from shared.crypto.tokens import new_token
from shared.errors import (
    InternalJobError,
    InterruptedSignInError,
    JobLostError,
    SealBrokenError,
    ServiceUnavailableError,
    SignInError,
)
from shared.jobs.claims import JobClaims
from shared.jobs.kinds import KINDS
from shared.jobs.states import Failure, JobKind, Outcome
from shared.logs.context import job_context
from shared.logs.locations import where
from shared.timings import PRODUCTION, Timings
from worker.handlers.handler import Handler
from worker.lease import Lease, LeaseKeeper
from worker.run import PostponedError, Run

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobRunner:
    """One for a worker process, used by all its threads."""

    claims: JobClaims
    keeper: LeaseKeeper
    handlers: Mapping[JobKind, Handler]
    timings: Timings = PRODUCTION

    def run(self, job_id: str) -> str:
        """Run one job to completion; return its result code.

        Raises JobNotFoundError (nothing to do), JobBusyError (another worker has it),
        PostponedError (come back later), ServiceUnavailableError (Redis is away).
        """
        claim = self.claims.claim(job_id, owner=new_token())
        kind, handler = KINDS[claim.kind], self.handlers[claim.kind]

        def run_of(lease: Lease) -> Run:
            return Run(claim, self.timings, self.claims, lease)

        def time_out(lease: Lease) -> None:
            self.claims.end(claim, handler.time_out(run_of(lease)))

        with (
            job_context(job_id, claim.origin.request_id),
            self.keeper.hold(claim, kind.deadline(self.timings), time_out) as lease,
        ):
            try:
                result = self.claims.end(claim, self._outcome(run_of(lease), handler))
            except JobLostError:
                _log.warning("job %s was lost to its deadline or to another worker", job_id)
                return "lost"
            except (PostponedError, ServiceUnavailableError):
                self.claims.release(claim)
                raise
            _log.info("%s ended: %s", claim.kind, result)
            return result

    def _outcome(self, job: Run, handler: Handler) -> Outcome:
        job_id, kind = job.claim.job_id, KINDS[job.claim.kind]
        try:
            if job.claim.progress is None and job.claim.runs > kind.max_runs:
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
