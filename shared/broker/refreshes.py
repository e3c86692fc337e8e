"""Submitting refreshes: one job for one row of tokens, whoever asks, and however often."""

import uuid
from dataclasses import dataclass

from shared.broker.errors import RefreshFailedError
from shared.errors import SignInInProgressError
from shared.jobs.states import JobKind, RefreshRequest
from shared.jobs.submission import Submission, Submitter
from shared.origin import UNKNOWN
from shared.redis.driver_cooldowns import DriverCooldowns


@dataclass(frozen=True)
class Refreshes:
    """`cooldowns` are those of refreshes. Every method raises ServiceUnavailableError."""

    submitter: Submitter
    cooldowns: DriverCooldowns

    def submit(self, token_id: uuid.UUID, generation: int, driver: str) -> str:
        """Return the id of the job that refreshes these tokens: a new one, or the one that runs.

        Raises RefreshFailedError while Garmin refuses, or just gave no usable answer.
        """
        wait = self.retry_after(token_id, driver)
        if wait:
            raise RefreshFailedError(wait)
        work = RefreshRequest(token_id=token_id, generation=generation)
        try:
            new = self.submitter.submit(Submission(JobKind.REFRESH, work, UNKNOWN))
        except SignInInProgressError as running:
            return running.job_id
        return new.job_id

    def retry_after(self, token_id: uuid.UUID, driver: str) -> int:
        """Return the seconds until these tokens may be refreshed, or 0."""
        return self.cooldowns.remaining(driver, str(token_id))
