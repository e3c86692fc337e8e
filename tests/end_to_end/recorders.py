"""Records what the running service leaves behind, place by place."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from redis import Redis
from redis.client import Monitor

from dev.processes import Process, clean_environment, free_port
from dev.stack import BIN, new_key
from worker.celery_app import celery_app

REDIS_TRAFFIC = "redis traffic"
REDIS = "redis"
EVENTS = "celery events"
FLOWER = "flower"
LOGS = "logs"
SQL = "sql"
DATABASE = "database"
METRICS = "metrics"
ERRORS = "error replies"
TERMINAL = "terminal"
PLACES = (REDIS_TRAFFIC, REDIS, EVENTS, FLOWER, LOGS, SQL, DATABASE, METRICS, ERRORS, TERMINAL)

_PATIENCE = 90.0


class Recording:
    """What was recorded, by place. Recorders write into it from their own threads."""

    def __init__(self) -> None:
        self._pieces: dict[str, list[bytes]] = {place: [] for place in PLACES}

    def note(self, place: str, piece: bytes | str) -> None:
        self._pieces[place].append(piece.encode() if isinstance(piece, str) else piece)

    def of(self, place: str) -> bytes:
        return b"\n".join(list(self._pieces[place]))


class RedisTraffic:
    """MONITOR, from its start to its stop: what every client and every script of Redis asks."""

    _END = "the end of the recording"

    def __init__(self, url: str, recording: Recording) -> None:
        self._redis = Redis.from_url(url, socket_timeout=None)
        self._recording = recording
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(_PATIENCE), "MONITOR does not begin"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._redis.echo(self._END)
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive(), "MONITOR does not end"
        self._redis.close()

    def _run(self) -> None:
        with self._redis.monitor() as monitor:  # type: ignore[no-untyped-call]
            self._ready.set()
            for line in iter(lambda: _next_line(monitor), None):
                if self._END.encode() in line:
                    return
                self._recording.note(REDIS_TRAFFIC, line)


def _next_line(monitor: Monitor) -> bytes:
    # As Redis wrote it: `next_command` loses what follows a backslash and a quote.
    line: bytes = monitor.connection.read_response()
    return line


class CeleryEvents:
    """What workers and API tell Celery's event exchange: where Flower has it from."""

    def __init__(self, broker_url: str, recording: Recording) -> None:
        self._app = celery_app(broker_url)
        self._recording = recording
        self._ready = threading.Event()
        self._receiver: Any = None
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(self._hears_us)
        return self

    def _hears_us(self) -> bool:
        with self._app.events.default_dispatcher() as dispatcher:
            dispatcher.send("recorder-listens")
        return self._ready.wait(0.2)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._receiver.should_stop = True
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive(), "the event receiver does not end"

    def _run(self) -> None:
        with self._app.connection_for_read() as connection:
            self._receiver = self._app.events.Receiver(connection, handlers={"*": self._note})
            self._receiver.capture(limit=None, timeout=None, wakeup=False)

    def _note(self, event: dict[str, Any]) -> None:
        self._ready.set()
        self._recording.note(EVENTS, json.dumps(event, default=repr))


class Flower:
    """Flower as docker-compose.yml runs it, and all that its pages and its API say."""

    _USER = ("operator", "for the test")

    def __init__(
        self, folder: Path, redis_url: str, recording: Recording, prefix: str = "fittrack"
    ) -> None:
        self._recording = recording
        self._port = free_port()
        url = f"http://127.0.0.1:{self._port}"
        environment = {
            "FITTRACK_REDIS_URL": redis_url,
            "FITTRACK_REDIS_PREFIX": prefix,
            "FITTRACK_DATABASE_URL": "sqlite://",
            "FITTRACK_ENCRYPTION_KEYS": new_key("unused"),
            "FITTRACK_LOG_LEVEL": "DEBUG",
            "FLOWER_BASIC_AUTH": ":".join(self._USER),
        }
        options = ["--address=127.0.0.1", f"--port={self._port}", "--logging=debug"]
        self.process = Process(
            "flower",
            [BIN / "celery", "-A", "worker.main", "flower", *options, "--max-tasks=10000"],
            folder / "flower.log",
            clean_environment(environment),
            lambda _: _answers(f"{url}/healthcheck"),
        )
        self.client = httpx.Client(base_url=url, auth=self._USER, trust_env=False, timeout=60)

    def __enter__(self) -> Self:
        self.process.wait_ready()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.client.close()
        self.process.stop()

    def wait_until_told(self, job_id: str) -> None:
        """Events take their time: until this job has ended in Flower's eyes."""
        wait_until(lambda: self._state(job_id) in ("SUCCESS", "FAILURE"))

    def read(self, task_ids: Iterable[str]) -> None:
        """Everything it tells of workers, queues and tasks."""
        workers = self.client.get("/api/workers", params={"refresh": 1}).json()
        pages = ["/", "/workers", "/workers?json=1", "/tasks", "/broker", "/metrics"]
        pages += ["/api/workers?refresh=1", "/api/tasks", "/api/task/types", "/api/queues/length"]
        pages += [f"/worker/{name}" for name in workers]
        for task_id in task_ids:
            pages += [f"/task/{task_id}", f"/api/task/info/{task_id}"]
        for page in pages:
            self._note(self.client.get(page))
        self._note(self._table())

    def columns(self) -> list[str]:
        """The columns that the list of tasks shows."""
        page = self.client.get("/tasks").raise_for_status().text
        return re.findall(r'<th data-column="([a-z]+)">', page)

    def rows(self) -> dict[str, dict[str, Any]]:
        """The list of tasks, by task id."""
        return {row["uuid"]: row for row in self._table().raise_for_status().json()["data"]}

    def _table(self) -> httpx.Response:
        table: dict[str, str | int] = {"draw": 1, "start": 0, "length": 10_000, "search[value]": ""}
        table |= {"order[0][column]": 0, "order[0][dir]": "asc", "columns[0][data]": "name"}
        return self.client.get("/tasks/datatable", params=table)

    def _state(self, job_id: str) -> str:
        reply = self.client.get(f"/api/task/info/{job_id}")
        return str(reply.json()["state"]) if reply.is_success else ""

    def _note(self, reply: httpx.Response) -> None:
        assert reply.status_code in (200, 404), reply.text
        self._recording.note(FLOWER, f"{reply.url.path} {reply.status_code}\n{reply.text}")


def read_logs(folder: Path, recording: Recording) -> None:
    """What every process wrote; PostgreSQL logs each statement with its values."""
    for path in sorted(folder.rglob("*.log")):
        place = SQL if path.name == "postgres.log" else LOGS
        recording.note(place, f"{path.name}:\n".encode() + path.read_bytes())


def wait_until(reached: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + _PATIENCE
    while not reached():
        assert time.monotonic() < ends_at, "it does not get there"
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=5).is_success
    except httpx.HTTPError:
        return False
