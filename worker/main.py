"""The worker: `celery -A worker.main worker`. Flower: `celery -A worker.main flower`."""

import sys

from celery.signals import worker_init

from shared.errors import ConfigurationError
from shared.queue import celery_app
from shared.settings import Settings
from worker import broker, tasks
from worker.sign_in import SignInRunner

_runner: SignInRunner | None = None


def _run_job(job_id: str) -> str:
    assert _runner is not None, "jobs come only after worker_init"  # noqa: S101 - as it says
    return _runner.run(job_id)


@worker_init.connect
def _prepare(**_: object) -> None:
    # Here and not at import: Flower imports this module too, and runs no jobs.
    global _runner  # noqa: PLW0603, RUF100 - built once, by the process's entry
    from worker.startup import build_housekeeping, build_runner, open_database

    try:
        database = open_database(settings)
        _runner = build_runner(settings, database)
        build_housekeeping(settings, database).start()
    except ConfigurationError as error:
        sys.exit(f"fittrack-auth worker: {error}")


try:
    settings = Settings.from_environment()
    settings.keyring()
except ConfigurationError as error:
    sys.exit(f"fittrack-auth worker: {error}")

broker.install()
app = celery_app(settings.queue_url)
tasks.register(app, _run_job)
