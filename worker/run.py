"""One run of a job, as its handler sees it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential

from shared.crypto.secret import Sealable
from shared.errors import (
    FitTrackError,
    GarminUnavailableError,
    InterruptedSignInError,
    ServiceUnavailableError,
)
from shared.jobs.claims import Claim, JobClaims
from shared.jobs.states import JobStage
from shared.retries import retried
from shared.timings import Timings
from worker.lease import Lease
from worker.marks import RunMarks

_FIRST_PAUSE = 0.25


class PostponedError(FitTrackError):
    """The job can't go on now. What it has reached is kept, and a later run goes on from there."""


@dataclass(frozen=True)
class Run:
    """What a handler may do with its job.

    Methods that write raise JobLostError when another worker has the job, and
    ServiceUnavailableError when Redis does not answer. `check` is the permit that drivers need.
    """

    claim: Claim
    timings: Timings
    _claims: JobClaims
    _marks: RunMarks
    _lease: Lease

    def check(self) -> float | None:
        """Return the seconds left, or None without a deadline.

        Waits while the lease can't be confirmed. Raises TimedOutError and JobLostError.
        """
        return self._lease.check()

    def input[T: Sealable](self, model: type[T]) -> T:
        """Return what the submitter gave. Raises InterruptedSignInError if it is gone."""
        given = self._claims.open_input(self.claim, model)
        if given is None:
            raise InterruptedSignInError
        return given

    def progress[T: Sealable](self, model: type[T]) -> T | None:
        """Return what an earlier run had reached, if any."""
        return self._claims.open_progress(self.claim, model)

    def keep_progress(self, stage: JobStage, progress: Sealable) -> None:
        """Store what has been reached, encrypted, for a later run. Raises JobCancelledError."""
        self._claims.keep_progress(self.claim, stage, progress)

    def drop_deadline(self) -> None:
        """Go on for as long as it takes: what is left waits for our own database.

        Raises TimedOutError if the deadline has passed.
        """
        self._lease.drop_deadline()

    def persist[T](self, action: Callable[[], T]) -> T:
        """Write down in Redis what Garmin has answered; repeat it until the deadline.

        Once it has failed, a mark in the database keeps other workers from asking Garmin again.
        Raises TimedOutError and JobLostError.
        """
        try:
            return action()
        except ServiceUnavailableError:
            self._marks.answer(self.claim)
        return self.retry(action, ServiceUnavailableError)

    def retry[T](
        self, action: Callable[[], T], on: type[FitTrackError], patience: float | None = None
    ) -> T:
        """Repeat `action` while it raises `on`, for `patience` seconds or until the deadline.

        What Garmin asks for in a Retry-After is waited for.
        """

        started = time.monotonic()

        def exhausted(state: RetryCallState) -> bool:
            left = self.check()
            if patience is not None:
                left = patience - (time.monotonic() - started)
            return left is None or left <= state.upcoming_sleep

        pauses = wait_exponential(_FIRST_PAUSE, max=self.timings.longest_pause)

        def retrying() -> Retrying:
            return Retrying(
                retry=retry_if_exception_type(on),
                wait=lambda state: max(pauses(state), _retry_after(state)),
                stop=exhausted,
                reraise=True,
            )

        return retried(action, retrying)


def _retry_after(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return (error.retry_after or 0.0) if isinstance(error, GarminUnavailableError) else 0.0
