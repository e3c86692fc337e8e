"""The Celery tasks: a job id in, nothing out. The job store has the truth."""

import logging
from collections.abc import Callable
from typing import Any

from celery import Celery, Task
from celery.exceptions import Reject

from shared.errors import JobNotFoundError, ServiceUnavailableError
from shared.job_states import JobKind
from shared.jobs import JobBusyError
from shared.queue import TASKS
from worker.sign_in import StoringDelayedError

_COME_BACK_SECONDS = 5

_log = logging.getLogger(__name__)


def register(app: Celery, run_job: Callable[[str], None]) -> None:
    """Puts both tasks on the application. `run_job` is `SignInRunner.run`."""

    @app.task(name=TASKS[JobKind.LOGIN], bind=True, max_retries=None)
    def login(task: Any, job_id: str) -> None:  # noqa: ANN401 - Celery's, untyped
        _run(task, job_id, run_job)

    @app.task(name=TASKS[JobKind.MFA_COMPLETION], bind=True, max_retries=None)
    def complete_mfa(task: Any, job_id: str) -> None:  # noqa: ANN401
        _run(task, job_id, run_job)


def _run(task: Task, job_id: str, run_job: Callable[[str], None]) -> None:
    try:
        run_job(job_id)
    except JobNotFoundError:
        _log.info("job %s is gone or has ended: nothing to do", job_id)
    except (JobBusyError, StoringDelayedError):
        # Ends with the job: once it has ended or expired, there is nothing to come back for.
        _come_back(task)
    except ServiceUnavailableError:
        reason = "service unavailable"
        raise Reject(reason, requeue=True) from None


def _come_back(task: Task) -> None:
    try:
        task.retry(countdown=_COME_BACK_SECONDS)
    except Reject:
        reason = "the new message could not be sent: keep the old one"
        raise Reject(reason, requeue=True) from None
