"""The Celery task of all kinds of job: a job id in, a result code out, for logs and Flower.

The job store has the truth; Celery keeps no result.
"""

from collections.abc import Callable
from typing import NoReturn

from celery import Celery, Task
from celery.exceptions import Reject

from shared.errors import JobNotFoundError, ServiceUnavailableError
from shared.jobs.claims import JobBusyError
from shared.jobs.kinds import KINDS, Kind
from shared.logs.context import job_context
from shared.timings import Timings
from worker.run import PostponedError
from worker.shares import NoThreadFreeError, ShareUsedUpError


class JobTask(Task):  # type: ignore[misc]  # untyped
    """One kind of job. `run_job` is `JobRunner.run`."""

    max_retries = None

    def __init__(self, kind: Kind, run_job: Callable[[str], str], timings: Timings) -> None:
        self.name = kind.task
        self._run_job = run_job
        self._timings = timings

    def run(self, job_id: str) -> str:
        try:
            with job_context(job_id):
                return self._run_job(job_id)
        except JobNotFoundError:
            return "already ended"
        except (JobBusyError, PostponedError, ServiceUnavailableError):
            # Ends with the job: once it has ended or expired, there is nothing to come back for.
            return self._come_back(self._timings.retry_delay)
        except NoThreadFreeError:
            return self._come_back(0)  # at the end of its queue
        except ShareUsedUpError as error:
            return self._come_back(error.retry_after)

    def _come_back(self, delay: float) -> NoReturn:
        try:
            raise self.retry(countdown=delay)
        except Reject:
            # The new message could not be sent: keep the old one.
            raise Reject("no new message", requeue=True) from None


def register(app: Celery, run_job: Callable[[str], str], timings: Timings) -> None:
    """Put the task of each kind on the application."""
    for kind in KINDS.values():
        app.register_task(JobTask(kind, run_job, timings))
