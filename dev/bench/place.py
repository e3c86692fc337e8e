"""Where it is measured: Redis, a database, the simulated Garmin, and plain garth beside them."""

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from dev.processes import ROOT, Process, clean_environment, says
from dev.servers import PostgresServer, RedisServer
from dev.simulator.accounts import PASSWORD
from dev.stack import BIN, LIMITS_OFF, Stack, new_key

BARE = ROOT / "dev" / "bench" / "bare"


class GarminProcess(Process):
    """The simulator as a process of its own, so that it shares no interpreter with what asks it."""

    def __init__(self, folder: Path) -> None:
        self._env_file = folder / "garmin.env"
        options = ["--state-dir", str(folder), "--env-file", str(self._env_file)]
        command = [sys.executable, "-m", "dev.simulator", *options]
        log = folder / "garmin.log"
        super().__init__("simulator", command, log, clean_environment(), says("control_url"))

    @property
    def environment(self) -> dict[str, str]:
        lines = self._env_file.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def answer_after(self, seconds: float) -> None:
        """Sets the latency of every request."""
        self.configure(latency_ms=seconds * 1000)

    def configure(self, **settings: object) -> None:
        control = json.loads(self.output().splitlines()[0])["control_url"]
        reply = httpx.post(f"{control}/settings", json=settings, trust_env=False)
        reply.raise_for_status()


class BarePython:
    """A Garmin library alone, in a process of its own, which is told what to do line by line."""

    def __init__(self, folder: Path, garmin: GarminProcess, name: str) -> None:
        with (folder / f"{name}.log").open("ab") as errors:
            self._popen = subprocess.Popen(
                [sys.executable, BARE / f"{name}.py"],
                env=clean_environment(garmin.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def ask(self, message: object) -> dict[str, Any]:
        assert self._popen.stdin is not None  # noqa: S101 - for the type checker
        assert self._popen.stdout is not None  # noqa: S101
        self._popen.stdin.write(json.dumps(message) + "\n")
        self._popen.stdin.flush()
        answer: dict[str, Any] = json.loads(self._popen.stdout.readline())
        return answer

    def stop(self) -> None:
        self._popen.communicate()  # the end of its input ends it


class BareGarth(BarePython):
    """Plain garth, warm: imported, and with the OAuth consumer fetched."""

    def __init__(self, folder: Path, garmin: GarminProcess) -> None:
        super().__init__(folder, garmin, "garth-sign-ins")

    def sign_in(self, usernames: Sequence[str], threads: int = 1) -> float:
        """Signs all of them in. Seconds for the whole."""
        message = {"usernames": list(usernames), "password": PASSWORD, "threads": threads}
        return float(self.ask(message)["seconds"])


@dataclass
class Place:
    folder: Path
    redis: RedisServer
    garmin: GarminProcess
    postgres: PostgresServer
    _people: Iterator[int] = field(default_factory=itertools.count)
    _stacks: Iterator[int] = field(default_factory=itertools.count)

    @property
    def text(self) -> str:
        return "Redis · PostgreSQL · simulated Garmin"

    def people(self, number: int) -> list[str]:
        """Usernames nobody has signed in with yet."""
        return [f"plain-{next(self._people)}@example.com" for _ in range(number)]

    def stack(self) -> Stack:
        """A stack of its own, not started."""
        folder = self.folder / f"stack-{next(self._stacks)}"
        folder.mkdir()
        settings = {
            "FITTRACK_REDIS_URL": self.redis.url,
            "FITTRACK_DATABASE_URL": self.postgres.url,
            "FITTRACK_ENCRYPTION_KEYS": new_key("bench"),
            **LIMITS_OFF,  # all of it comes from one address
        }
        return Stack(folder, settings, self.garmin.environment)

    def bare_endpoint(self, name: str, port: int, settings: Mapping[str, str]) -> Process:
        """A bare endpoint, run as the API is."""
        app = ["--app-dir", str(BARE), f"{name}:app"]
        return Process(
            name,
            [BIN / "uvicorn", *app, "--port", str(port), "--no-server-header"],
            self.folder / f"{name}.log",
            clean_environment(settings) | {"PYTHONPATH": str(ROOT)},
            says("running on"),
        )

    @contextmanager
    def bare_python(self, name: str) -> Iterator[BarePython]:
        process = BarePython(self.folder, self.garmin, name)
        try:
            yield process
        finally:
            process.stop()

    @contextmanager
    def bare_garth(self) -> Iterator[BareGarth]:
        garth = BareGarth(self.folder, self.garmin)
        try:
            self.garmin.answer_after(0)
            garth.sign_in(self.people(1))
            yield garth
        finally:
            garth.stop()


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """Start Redis, PostgreSQL and the simulator."""
    with (
        RedisServer(folder) as redis,
        GarminProcess(folder) as garmin,
        PostgresServer(folder) as postgres,
    ):
        yield Place(folder, redis, garmin, postgres)
