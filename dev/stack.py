"""The whole service on one machine: API and workers, started as production starts them."""

import base64
import secrets
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from dev import short
from dev.processes import Launch, Process, clean_environment, free_port, launch, says
from shared import timings
from shared.timings import Timings

BIN = Path(sys.executable).parent
"""Where this environment's commands are."""


LIMITS_OFF = {
    f"FITTRACK_LIMIT_{name}": "1000000/second"
    for name in (
        "LOGIN_PER_IP",
        "LOGIN_PER_CLIENT",
        "TOKENS_PER_CLIENT",
        "REFRESHES_PER_CONNECTION",
        "LOGIN_PER_ACCOUNT",
        "CODE_PER_IP",
        "CODE_PER_CLIENT",
        "CODE_PER_CHALLENGE",
        "CODES_PER_ACCOUNT",
    )
} | {"FITTRACK_SHARE_PER_IP": "100", "FITTRACK_SHARE_PER_CLIENT": "100"}
"""For who plays many people from one address."""


def new_key(name: str = "dev") -> str:
    """A value for FITTRACK_ENCRYPTION_KEYS."""
    return f"{name}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


@dataclass(frozen=True)
class Programs:
    """The entry modules of API and worker, the timings they use, and how they are started."""

    api: str
    worker: str
    timings: Timings
    launch: Launch = launch


PRODUCTION = Programs("api", "worker", timings.PRODUCTION)
SHORT = Programs("dev.short.serve", "dev.short.worker", short.SHORT)
"""With shorter timings, for tests."""


class Stack:
    """API and workers over a Redis and a database that are there already.

    `settings` are FITTRACK_… variables. `garmin` are variables for the workers alone: how they
    reach Garmin. `migrated` says that the database needs no migration.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str],
        garmin: Mapping[str, str] | None = None,
        port: int | None = None,
        programs: Programs = PRODUCTION,
        *,
        migrated: bool = False,
    ) -> None:
        self.folder = folder
        self.settings = dict(settings)
        self.garmin = dict(garmin or {})
        self.port = port or free_port()
        self._programs = programs
        self._migrated = migrated
        self.workers: list[Process] = []
        self.apis: list[Process] = []
        self._exit = ExitStack()

    @property
    def timings(self) -> Timings:
        return self._programs.timings

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def migrate(self) -> None:
        """Raises NotReadyError if `alembic upgrade head` fails."""
        with Process(
            "alembic",
            [BIN / "alembic", "upgrade", "head"],
            self.folder / "alembic.log",
            clean_environment(self.settings),
            lambda process: process.wait(60) == 0,
        ):
            pass

    def begin_api(self, port: int | None = None) -> Process:
        """Starts an API process and does not wait for it."""
        port = port or self.port
        command = [
            sys.executable,
            "-m",
            self._programs.api,
            "--port",
            str(port),
        ]
        return self._add(
            self.apis,
            Process(
                "api",
                command,
                self.folder / f"api-{port}.log",
                clean_environment(self.settings),
                lambda _: _is_ready(f"http://127.0.0.1:{port}"),
                launch=self._programs.launch,
            ),
        )

    def begin_worker(self, *options: str) -> Process:
        """Starts a worker process and does not wait for it."""
        name = f"worker{len(self.workers) + 1}"
        command = [sys.executable, "-m", self._programs.worker, "-n", f"{name}@%h", *options]
        return self._add(
            self.workers,
            Process(
                name,
                command,
                self.folder / f"{name}.log",
                clean_environment(self.settings | self.garmin),
                says(" ready."),
                launch=self._programs.launch,
            ),
        )

    def start(self, workers: int = 1) -> Self:
        """Migrate, start one API and the workers, and wait until they are ready."""
        try:
            if not self._migrated:
                self.migrate()
            # A worker's log says that it is ready: at INFO, even where the setting asks for less.
            quiet = self.settings.get("FITTRACK_LOG_LEVEL") in ("WARNING", "ERROR")
            options = ["--loglevel=INFO"] if quiet else []
            started = [self.begin_api(), *(self.begin_worker(*options) for _ in range(workers))]
            for process in started:
                process.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stops every process it started, the newest first."""
        self._exit.close()

    def kill(self) -> None:
        """End every process it started at once: nobody needs the rest of a throwaway stack."""
        for process in (*self.apis, *self.workers):
            process.kill()
        self.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _add(self, processes: list[Process], process: Process) -> Process:
        processes.append(process)
        self._exit.callback(process.stop)
        return process


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
