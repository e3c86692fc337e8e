"""The interface of a kind of job's handler."""

from typing import Protocol

from shared.jobs.states import Failure, Outcome
from worker.run import Run


class Handler(Protocol):
    """One kind of job. One instance for a worker process, used by all its threads."""

    def run(self, job: Run) -> Outcome:
        """Do the job's work. May be called again for a job whose worker died.

        Raises SignInError (the job failed), PostponedError (a later run goes on),
        ServiceUnavailableError and JobLostError.
        """

    def time_out(self, job: Run) -> Failure:
        """Return how a job ends whose deadline passed; `run` is still busy in another thread."""
