"""The check of a one-time code, which completes a sign-in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shared.errors import (
    ChallengeBusyError,
    ChallengeNotFoundError,
    InterruptedSignInError,
    MfaCodeInvalidError,
    SignInExpiredError,
    TimedOutError,
)
from shared.garmin.types import CodeSubmission
from shared.jobs.challenges import ChallengeStore, OpenChallenge
from shared.jobs.states import Failure, Outcome
from worker.chain import DriverChain
from worker.handlers.completion import Completion, Progress
from worker.run import Run


@dataclass(frozen=True)
class MfaCompletionHandler:
    chain: DriverChain
    challenges: ChallengeStore
    completion: Completion

    def run(self, job: Run) -> Outcome:
        with self.completion.failures_counted(job):
            progress = job.progress(Progress) or self._check_code(job)
            return self.completion.finish(job, progress)

    def time_out(self, job: Run) -> Failure:
        """Garmin gave no verdict on the code: release the challenge for another one."""
        error = TimedOutError()
        challenge_id = job.input(CodeSubmission).challenge_id
        self.challenges.give_back(challenge_id, job.claim.job_id, error)
        return Failure.of(error)

    def _check_code(self, job: Run) -> Progress:
        submission = job.input(CodeSubmission)
        with self._reserved(job, submission) as challenge:
            self.completion.admit_code(job)
            code = submission.code.get_secret_value()
            try:
                signed_in = self.chain.finish(
                    challenge.pending, code, job, job.claim.origin.account
                )
            except MfaCodeInvalidError:
                if job.claim.runs == 1:
                    raise
                # An earlier worker died while it checked the same code: the code may have been
                # right, and used up.
                raise InterruptedSignInError from None
            return self.completion.keep(job, signed_in)

    @contextmanager
    def _reserved(self, job: Run, submission: CodeSubmission) -> Iterator[OpenChallenge]:
        challenge_id, client_id = submission.challenge_id, job.claim.origin.client_id
        job_id = job.claim.job_id
        try:
            with self.challenges.reserved_for_check(
                challenge_id, job_id, client_id, job.persist
            ) as challenge:
                yield challenge
        except ChallengeNotFoundError:
            raise SignInExpiredError from None
        except ChallengeBusyError:
            raise InterruptedSignInError from None
