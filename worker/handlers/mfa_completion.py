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
from worker.handlers.signing_in import Progress, SigningIn
from worker.run import Run


@dataclass(frozen=True)
class MfaCompletionHandler:
    signing_in: SigningIn
    challenges: ChallengeStore

    def run(self, job: Run) -> Outcome:
        return self.signing_in.run(job, self._begin)

    def time_out(self, job: Run) -> Failure:
        """Garmin gave no verdict on the code: the challenge takes another one."""
        error = TimedOutError()
        challenge_id = job.input(CodeSubmission).challenge_id
        self.challenges.give_back(challenge_id, job.claim.job_id, error)
        return Failure.of(error)

    def _begin(self, job: Run) -> Progress:
        submission = job.input(CodeSubmission)
        with self._reserved(job, submission) as challenge:
            code = submission.code.get_secret_value()
            try:
                signed_in = self.signing_in.chain.finish(challenge.pending, code, job)
            except MfaCodeInvalidError:
                if job.claim.runs == 1:
                    raise
                # A worker died while it checked this very code, which may have been right, and
                # used up.
                raise InterruptedSignInError from None
            return self.signing_in.keep(job, signed_in)

    @contextmanager
    def _reserved(self, job: Run, submission: CodeSubmission) -> Iterator[OpenChallenge]:
        challenge_id, client_id = submission.challenge_id, job.claim.origin.client_id
        job_id = job.claim.job_id
        try:
            with self.challenges.reserved_for_check(challenge_id, job_id, client_id) as challenge:
                yield challenge
        except ChallengeNotFoundError:
            raise SignInExpiredError from None
        except ChallengeBusyError:
            raise InterruptedSignInError from None
