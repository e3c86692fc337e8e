"""The worker: `celery -A worker.main worker`. Flower: `celery -A worker.main flower`."""

import errno
import logging
import sys
from types import TracebackType

from celery.signals import setup_logging, worker_init

from shared.crypto.keyring import Keyring
from shared.errors import ConfigurationError
from shared.jobs.queue import celery_app
from shared.logs.configuration import configure_logging
from shared.settings import Settings
from worker import broker
from worker import task as tasks
from worker.runner import SignInRunner

_runner: SignInRunner | None = None


def _run_job(job_id: str) -> str:
    assert _runner is not None, "jobs come only after worker_init"  # noqa: S101 - as it says
    return _runner.run(job_id)


@setup_logging.connect
def _set_up_logging(loglevel: int, **_: object) -> None:
    """In Celery's place. `--loglevel` may ask for more than the setting; WARNING is its default."""
    level = logging.getLevelNamesMapping()[settings.log_level]
    if loglevel < logging.WARNING:
        level = min(level, loglevel)
    configure_logging(level, settings.log_format)


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


def _explain_port_in_use() -> None:
    """Let Flower end with one line if its port is taken; it raises an OSError without the port."""
    log = sys.excepthook

    def explain(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            from tornado.options import options

            text = f"port {options.port} is in use: choose another one with --port"
            print(f"fittrack-auth flower: {text}", file=sys.stderr)
        else:
            log(kind, error, traceback)

    sys.excepthook = explain


try:
    settings = Settings.from_environment()
    Keyring.parse(settings.encryption_keys.get_secret_value())
    configure_logging(settings.log_level, settings.log_format)
    _explain_port_in_use()
except ConfigurationError as error:
    sys.exit(f"fittrack-auth worker: {error}")

broker.install()
app = celery_app(settings.queue_url)
tasks.register(app, _run_job)
