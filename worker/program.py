"""The Celery application of a worker, and of Flower, from the environment's settings."""

import logging
import os
import sys
import uuid
import warnings
from contextlib import suppress

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging, worker_init, worker_ready, worker_shutdown
from celery.worker import WorkController

from shared.crypto.keyring import Keyring
from shared.deployment import Deployment
from shared.errors import ConfigurationError, ServiceUnavailableError
from shared.jobs.set_aside import SetAside
from shared.logs.configuration import configure_logging
from shared.memory import limit_arenas, release_unused
from shared.redis.connection import Redis, connect
from shared.redis.measurements import Measurements
from shared.settings import Settings
from shared.timings import Timings
from worker import broker, flower, task, task_events
from worker.celery_app import celery_app
from worker.pool import allow_threads_alone
from worker.runner import JobRunner
from worker.shares import kept_for_urgent
from worker.webhooks import task as webhooks
from worker.webhooks.courier import Courier

_log = logging.getLogger(__name__)


class _Program:
    """What one process runs. The runner is built when a worker starts; Flower runs no jobs."""

    def __init__(self, timings: Timings) -> None:
        self._timings = timings
        self._settings = Settings.from_environment()
        Keyring.parse(self._settings.encryption_keys.get_secret_value())
        configure_logging(self._settings.log_level, self._settings.log_format)
        self._runner: JobRunner | None = None
        self._measurements = Measurements()
        self._courier: Courier | None = None
        broker.install(self._timings, self._set_aside().add)
        self._app = celery_app(self._settings.queue_url, self._timings, self._settings.keyspace)

    def app(self) -> Celery:
        task.register(self._app, self._run_job, self._timings)
        webhooks.register(self._app, self._serve_endpoint)
        task_events.install(self._app)
        # Signals keep weak references, and nothing else holds this object.
        setup_logging.connect(self._set_up_logging, weak=False)
        worker_init.connect(self._prepare, weak=False)
        worker_ready.connect(_release_unused, weak=False)
        worker_shutdown.connect(self._bring_measurements, weak=False)
        worker_shutdown.connect(self._stop_courier, weak=False)
        return self._app

    def _redis(self) -> Redis:
        url, timeout = (
            self._settings.redis_url.get_secret_value(),
            self._timings.redis_answer_worker,
        )
        return connect(url, timeout=timeout, keyspace=self._settings.keyspace)

    def _set_aside(self) -> SetAside:
        return SetAside(self._redis())

    def _bring_measurements(self, **_: object) -> None:
        with suppress(ServiceUnavailableError), self._redis() as redis:
            self._measurements.flush_to(redis)

    def _run_job(self, job_id: str) -> str:
        assert self._runner is not None, "jobs come only after worker_init"  # noqa: S101 - for the type checker
        return self._runner.run(job_id)

    def _serve_endpoint(self, endpoint_id: uuid.UUID) -> None:
        assert self._courier is not None, "messages come only after worker_init"  # noqa: S101 - for the type checker
        self._courier.serve(endpoint_id)

    def _stop_courier(self, **_: object) -> None:
        if self._courier is not None:
            self._courier.stop()

    def _set_up_logging(self, loglevel: int, **_: object) -> None:
        """Replace Celery's logging. `--loglevel` may ask for more than the setting."""
        level = logging.getLevelNamesMapping()[self._settings.log_level]
        if loglevel < logging.WARNING:  # WARNING is Celery's default
            level = min(level, loglevel)
        configure_logging(level, self._settings.log_format)

    def _prepare(self, sender: WorkController, **_: object) -> None:
        from worker.startup import (
            build_courier,
            build_heartbeat,
            build_runner,
            build_schedule,
            open_database,
        )

        settings, timings = self._settings, self._timings
        _warn_of_root()
        try:
            database = open_database(settings, timings)
            deployment = Deployment.of(settings, database, timings.redis_answer_worker, timings)
            deployment.start()
            threads = _threads(sender)
            broker.keep_room(kept_for_urgent(threads))
            self._runner = build_runner(settings, database, timings, threads, self._measurements)
            self._courier = build_courier(settings, database, timings)
            heartbeat = build_heartbeat(settings, timings)
            heartbeat.install(self._app)
            schedule = build_schedule(settings, database, deployment, timings, self._measurements)
            for periodic in (heartbeat.periodic(), *schedule):
                periodic.start()
        except ConfigurationError as error:
            sys.exit(f"fittrack-auth worker: {error}")


def _warn_of_root() -> None:
    if os.geteuid() == 0:
        _log.warning("the worker runs as root: give it a user without privileges")


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
    # Celery's about root, whose text the log would suppress: `_warn_of_root` says it.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    allow_threads_alone()
    flower.prepare()
    return app
