"""The Celery tasks: a job id in, a word on how it ended out, for logs and Flower.

The job store has the truth; Celery keeps no result.
"""

from collections.abc import Callable
from typing import Any, NoReturn

from celery import Celery, Task
from celery.exceptions import Reject

from shared.errors import JobNotFoundError, ServiceUnavailableError
from shared.jobs.queue import TASKS
from shared.jobs.states import JobKind
from shared.jobs.store import JobBusyError
from shared.logs.context import job_context
from worker.runner import StoringDelayedError


def register(app: Celery, run_job: Callable[[str], str], retry_delay: float) -> None:
    """Puts both tasks on the application. `run_job` is `SignInRunner.run`."""

    @app.task(name=TASKS[JobKind.LOGIN], bind=True, max_retries=None)
    def login(task: Any, job_id: str) -> str:  # noqa: ANN401 - Celery's, untyped
        return _run(task, job_id, run_job, retry_delay)

    @app.task(name=TASKS[JobKind.MFA_COMPLETION], bind=True, max_retries=None)
    def complete_mfa(task: Any, job_id: str) -> str:  # noqa: ANN401
        return _run(task, job_id, run_job, retry_delay)


def _run(task: Task, job_id: str, run_job: Callable[[str], str], retry_delay: float) -> str:
    try:
        with job_context(job_id):
            return run_job(job_id)
    except JobNotFoundError:
        return "nothing to do: the job is gone or has ended"
    except (JobBusyError, StoringDelayedError):
        # Ends with the job: once it has ended or expired, there is nothing to come back for.
        return _come_back(task, retry_delay)
    except ServiceUnavailableError:
        reason = "service unavailable"
        raise Reject(reason, requeue=True) from None


def _come_back(task: Task, delay: float) -> NoReturn:
    try:
        raise task.retry(countdown=delay)
    except Reject:
        reason = "the new message could not be sent: keep the old one"
        raise Reject(reason, requeue=True) from None
