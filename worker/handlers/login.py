"""A sign-in with username and password."""

from dataclasses import dataclass

from shared.errors import SignInAgainError, TimedOutError
from shared.garmin.types import CodeRequired, Credentials, PendingSignIn
from shared.jobs.challenges import ChallengeStore
from shared.jobs.states import CodeRequested, Failure, Outcome
from worker.chain import DriverChain
from worker.handlers.completion import Completion, Progress
from worker.run import Run


@dataclass(frozen=True)
class LoginHandler:
    chain: DriverChain
    challenges: ChallengeStore
    completion: Completion

    def run(self, job: Run) -> Outcome:
        with self.completion.failures_counted(job):
            progress = job.progress(Progress)
            if progress is not None:
                return self.completion.finish(job, progress)
            try:
                return self._sign_in(job)
            except SignInAgainError:
                # The driver rests for this account now: the next one's turn, once, with what is
                # left of the bound on posts.
                return self._sign_in(job)

    def time_out(self, job: Run) -> Failure:
        return Failure.of(TimedOutError())

    def _sign_in(self, job: Run) -> Outcome:
        claim = job.claim
        self.completion.admit_sign_in(job)
        result = self.chain.sign_in(job.input(Credentials), job, claim.job_id, claim.origin.account)
        if isinstance(result, CodeRequired):
            return self._request_code(job, result.pending)
        return self.completion.finish(job, self.completion.keep(job, result))

    def _request_code(self, job: Run, pending: PendingSignIn) -> CodeRequested:
        self.completion.count_code_sent(job)
        # Garmin does not send the same code twice: with Redis away, the job waits.
        origin = job.claim.origin.model_copy(update={"began_at": job.claim.began_at})
        challenge = job.persist(lambda: self.challenges.create(pending, origin))
        return CodeRequested(
            challenge_id=challenge.challenge_id,
            mfa_type=pending.mfa_type,
            mfa_destination=pending.mfa_destination,
            expires_at=challenge.expires_at,
            attempts_left=challenge.attempts_left,
            can_resend=pending.can_resend,
        )
