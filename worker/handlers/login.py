"""A sign-in with username and password."""

from dataclasses import dataclass

from shared.errors import ServiceUnavailableError, TimedOutError
from shared.garmin.types import Credentials, SignedIn
from shared.jobs.challenges import ChallengeStore
from shared.jobs.states import CodeRequested, Failure, Outcome
from worker.handlers.signing_in import Progress, SigningIn
from worker.run import Run


@dataclass(frozen=True)
class LoginHandler:
    signing_in: SigningIn
    challenges: ChallengeStore

    def run(self, job: Run) -> Outcome:
        return self.signing_in.run(job, self._begin)

    def time_out(self, job: Run) -> Failure:
        return Failure.of(TimedOutError())

    def _begin(self, job: Run) -> Progress | CodeRequested:
        result = self.signing_in.chain.sign_in(job.input(Credentials), job)
        if isinstance(result, SignedIn):
            return self.signing_in.keep(job, result)
        pending = result.pending
        # Garmin does not send the same code twice: with Redis away, the job waits.
        challenge = job.retry(
            lambda: self.challenges.create(pending, job.claim.origin), ServiceUnavailableError
        )
        return CodeRequested(
            challenge_id=challenge.challenge_id,
            mfa_type=pending.mfa_type,
            mfa_destination=pending.mfa_destination,
            expires_at=challenge.expires_at,
            attempts_left=challenge.attempts_left,
        )
