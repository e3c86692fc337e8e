"""The Celery application of a worker, and of Flower, from the environment's settings."""

import errno
import logging
import os
import sys
from types import TracebackType

from celery import Celery
from celery.signals import setup_logging, worker_init, worker_ready
from celery.worker import WorkController

from shared.crypto.keyring import Keyring
from shared.deployment import Deployment
from shared.errors import ConfigurationError
from shared.jobs.queue import celery_app
from shared.logs.configuration import configure_logging
from shared.memory import limit_arenas, release_unused
from shared.settings import Settings
from shared.timings import Timings
from worker import broker, task
from worker.runner import JobRunner
from worker.shares import kept_for_urgent


class _Program:
    """What one process runs. The runner is built when a worker starts; Flower runs no jobs."""

    def __init__(self, timings: Timings) -> None:
        self._timings = timings
        self._settings = Settings.from_environment()
        Keyring.parse(self._settings.encryption_keys.get_secret_value())
        configure_logging(self._settings.log_level, self._settings.log_format)
        self._runner: JobRunner | None = None
        broker.install(self._timings)
        self._app = celery_app(self._settings.queue_url, self._timings, self._settings.keyspace)

    def app(self) -> Celery:
        task.register(self._app, self._run_job, self._timings)
        # Signals keep weak references, and nothing else holds this object.
        setup_logging.connect(self._set_up_logging, weak=False)
        worker_init.connect(self._prepare, weak=False)
        worker_ready.connect(_release_unused, weak=False)
        return self._app

    def _run_job(self, job_id: str) -> str:
        assert self._runner is not None, "jobs come only after worker_init"  # noqa: S101 - for the type checker
        return self._runner.run(job_id)

    def _set_up_logging(self, loglevel: int, **_: object) -> None:
        """Replace Celery's logging. `--loglevel` may ask for more than the setting."""
        level = logging.getLevelNamesMapping()[self._settings.log_level]
        if loglevel < logging.WARNING:  # WARNING is Celery's default
            level = min(level, loglevel)
        configure_logging(level, self._settings.log_format)

    def _prepare(self, sender: WorkController, **_: object) -> None:
        from worker.startup import build_heartbeat, build_runner, build_schedule, open_database

        settings, timings = self._settings, self._timings
        try:
            database = open_database(settings, timings)
            deployment = Deployment.of(settings, database, timings.redis_answer_worker, timings)
            deployment.start()
            threads = _threads(sender)
            broker.keep_room(kept_for_urgent(threads))
            self._runner = build_runner(settings, database, timings, threads)
            heartbeat = build_heartbeat(settings, timings)
            heartbeat.install(self._app)
            schedule = build_schedule(settings, database, deployment, timings)
            for periodic in (heartbeat.periodic(), *schedule):
                periodic.start()
        except ConfigurationError as error:
            sys.exit(f"fittrack-auth worker: {error}")


def _threads(worker: WorkController) -> int:
    if not isinstance(worker.concurrency, int):
        raise ConfigurationError("--concurrency must be a number of threads")
    return worker.concurrency


def _release_unused(**_: object) -> None:
    release_unused()


def start(timings: Timings) -> Celery:
    """Build the application, or exit with one line that says what is wrong with the settings."""
    limit_arenas()
    try:
        app = _Program(timings).app()
    except ConfigurationError as error:
        sys.exit(f"fittrack-auth worker: {error}")
    # In Flower's list of tasks, a sign-in that Garmin refused is a finished task too.
    os.environ.setdefault("FLOWER_TASKS_COLUMNS", "name,uuid,state,result,received,runtime,worker")
    _explain_port_in_use()
    return app


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
