"""Having Garmin send a one-time code again, for a challenge that stays as it is."""

from dataclasses import dataclass

from shared.errors import (
    ChallengeBusyError,
    ChallengeNotFoundError,
    InterruptedSignInError,
    SignInExpiredError,
    TimedOutError,
)
from shared.garmin.types import CodeResend
from shared.jobs.challenges import ChallengeStore
from shared.jobs.states import CodeRequested, Failure, Outcome
from worker.chain import DriverChain
from worker.handlers.completion import Completion
from worker.run import Run


@dataclass(frozen=True)
class CodeResendHandler:
    chain: DriverChain
    challenges: ChallengeStore
    completion: Completion

    def run(self, job: Run) -> Outcome:
        challenge_id = job.input(CodeResend).challenge_id
        try:
            with (
                self.completion.failures_counted(job),
                self.challenges.reserved_for_resend(
                    challenge_id, job.claim.job_id, job.claim.origin.client_id, job.persist
                ) as challenge,
            ):
                self.completion.admit_sign_in(job)
                pending = self.chain.resend(challenge.pending, job, job.claim.origin.account)
                self.completion.count_code_sent(job)
        except ChallengeNotFoundError:
            raise SignInExpiredError from None
        except ChallengeBusyError:
            raise InterruptedSignInError from None
        still = job.persist(lambda: self.challenges.resent(challenge_id, job.claim.job_id, pending))
        if still is None:
            raise SignInExpiredError
        return CodeRequested(
            challenge_id=still.challenge_id,
            mfa_type=pending.mfa_type,
            mfa_destination=pending.mfa_destination,
            expires_at=still.expires_at,
            attempts_left=still.attempts_left,
            can_resend=pending.can_resend,
        )

    def time_out(self, job: Run) -> Failure:
        error = TimedOutError()
        challenge_id = job.input(CodeResend).challenge_id
        self.challenges.give_back(challenge_id, job.claim.job_id, error)
        return Failure.of(error)
