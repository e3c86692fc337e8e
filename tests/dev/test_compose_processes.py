"""The commands and health checks of docker-compose.yml work as plain processes."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.retry import Retry
from sqlalchemy import create_engine, text

from dev.processes import ROOT, Process, free_port
from dev.server_programs import postgres_folder, redis_server
from dev.servers import PostgresServer
from dev.simulator import PASSWORD, Simulator
from dev.stack import BIN
from tests.dev.compose import COMPOSE, SECRETS, services
from tests.end_to_end.client import Client

NEVER = Retry(NoBackoff(), 0)

REDIS_CLI = """
import os, sys, redis
[_, _, port, command] = sys.argv
client = redis.Redis(port=int(port), password=os.environ["REDISCLI_AUTH"])
print("PONG" if client.execute_command(command) else "")
"""


class PlainProcesses:
    """The compose file's services on 127.0.0.1 and free ports, health checks and all."""

    def __init__(self, folder: Path, postgres_port: int, garmin: Mapping[str, str]) -> None:
        self.folder = folder
        self.heartbeat = folder / "heartbeat"
        self.ports = {"6379": free_port(), "8000": free_port(), "5555": free_port()}
        self._garmin = garmin
        places = {name: str(port) for name, port in self.ports.items()}
        places |= {"5432": str(postgres_port), "0.0.0.0": "127.0.0.1"}  # noqa: S104
        places |= {
            "@postgres": "@127.0.0.1",
            "@redis": "@127.0.0.1",
            "--dir /data": f"--dir {folder}",
        }
        pattern = "|".join(re.escape(place) for place in places)
        content = re.sub(pattern, lambda match: places[match.group()], COMPOSE)
        self.services = services(content)
        self.running: dict[str, Process] = {}
        self._exit = ExitStack()

    def start(self, *names: str) -> None:
        """Start services side by side and wait for each: until it is healthy, or has ended."""
        for process in [self._launch(name) for name in names]:
            process.wait_ready()

    def _launch(self, name: str) -> Process:
        service = self.services[name]
        ready = self._ended_well if service.raw["restart"] == "no" else self._is_healthy(name)
        log = self.folder / f"{name}.log"
        process = Process(name, service.command, log, self._environment(name), ready)
        self.running[name] = process
        self._exit.callback(process.stop)
        return process

    def check_health(self, name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.services[name].health_check,
            cwd=ROOT,
            env=self._environment(name),
            capture_output=True,
            text=True,
            check=False,
        )

    def stop(self, name: str) -> int | None:
        """Send SIGTERM, then SIGKILL after the grace period."""
        return self.running[name].stop(self.services[name].stop_seconds)

    def close(self) -> None:
        self._exit.close()

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.ports[port]}"

    def _environment(self, name: str) -> dict[str, str]:
        """What a container has: the environment of the compose file and little else."""
        places = [
            str(BIN),
            str(self.folder / "bin"),
            str(postgres_folder()),
            os.environ["PATH"],
        ]
        bare = {"PATH": os.pathsep.join(places), "HOSTNAME": socket.gethostname()}
        outside = {**self._garmin, "FITTRACK_HEARTBEAT_FILE": str(self.heartbeat)}
        return bare | self.services[name].environment | (outside if name == "worker" else {})

    def _is_healthy(self, name: str) -> Callable[[Process], bool]:
        return lambda _: self.check_health(name).returncode == 0

    @staticmethod
    def _ended_well(process: Process) -> bool:
        return process.wait(60) == 0


@pytest.fixture
def plain(
    server_folder: Path, postgres_server: PostgresServer, running_simulator: Simulator
) -> Iterator[PlainProcesses]:
    folder = server_folder / "compose"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "redis-server").symlink_to(redis_server())
    client = folder / "bin" / "redis-cli"  # the wheel has none
    client.write_text(f"#!{sys.executable}\n{REDIS_CLI}")
    client.chmod(0o755)
    running_simulator.reset()
    engine = create_engine(postgres_server.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        password = SECRETS["POSTGRES_PASSWORD"]
        connection.execute(text(f"CREATE ROLE fittrack LOGIN PASSWORD '{password}'"))
        connection.execute(text("CREATE DATABASE fittrack OWNER fittrack"))
    processes = PlainProcesses(folder, postgres_server.port, running_simulator.environment)
    yield processes
    processes.close()
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE fittrack WITH (FORCE)"))
        connection.execute(text("DROP ROLE fittrack"))
    engine.dispose()
    shutil.rmtree(folder)


def test_a_sign_in_succeeds_with_its_commands_as_plain_processes(plain: PlainProcesses) -> None:
    assert plain.check_health("postgres").returncode == 0
    plain.start("redis")
    plain.start("migrate")
    plain.start("api", "worker", "flower")
    check_redis(plain)

    user, _, password = SECRETS["FLOWER_BASIC_AUTH"].partition(":")
    url = plain.url("5555")
    with httpx.Client(base_url=url, auth=(user, password), trust_env=False) as flower:
        wait_until(lambda: bool(flower.get("/workers", params={"json": 1}).json()["data"]))
        job_id = sign_in(plain.url("8000"))
        check_flower(flower, job_id)

    for name in ("api", "worker", "flower"):
        health = plain.check_health(name)
        assert health.returncode == 0, health.stdout + health.stderr
    check_end(plain)


def check_redis(plain: PlainProcesses) -> None:
    """Redis has its options and requires its password, which no command line shows."""
    password, port = SECRETS["REDIS_PASSWORD"], plain.ports["6379"]
    with Redis(port=port, retry=NEVER) as redis, pytest.raises(AuthenticationError):
        redis.ping()
    with Redis(port=port, password=password, decode_responses=True) as redis:
        expected = {"appendonly": "yes", "maxmemory-policy": "noeviction", "save": ""}
        assert redis.config_get(*expected) == expected
    process = psutil.Process(plain.running["redis"].pid)
    assert process.name() == "redis-server"
    assert password not in " ".join(process.cmdline())


def sign_in(url: str) -> str:
    client = Client(url)
    try:
        accepted = client.submit_login("compose@example.com")
        assert client.wait(accepted)["status"] == "succeeded"
        assert "server" not in client.http.get("/healthz").headers
    finally:
        client.close()
    return str(accepted["job_id"])


def check_flower(flower: httpx.Client, job_id: str) -> None:
    """The operator sees the task, whose only argument is the job's id. Nobody else does."""
    for path in ("/", "/tasks", "/api/tasks", f"/api/task/info/{job_id}", "/api/workers"):
        assert httpx.get(f"{flower.base_url}{path}", trust_env=False).status_code == 401
        wrong = ("operator", "wrong")
        reply = httpx.get(f"{flower.base_url}{path}", auth=wrong, trust_env=False)
        assert reply.status_code == 401
    task = f"/api/task/info/{job_id}"
    wait_until(lambda: (reply := flower.get(task)).is_success and ended(reply))
    found = flower.get(task).json()
    assert found["name"] == "garmin.login"
    assert found["state"] == "SUCCESS"
    assert re.fullmatch(rf"[\[(]['\"]{job_id}['\"],?[\])]", found["args"])
    assert found["kwargs"] == "{}"
    everything = flower.get("/api/tasks").text + flower.get("/tasks").text
    assert PASSWORD not in everything
    assert "compose@example.com" not in everything
    assert flower.post(f"/api/task/revoke/{job_id}").status_code == 403  # read-only


def ended(reply: httpx.Response) -> bool:
    return reply.json()["state"] in ("SUCCESS", "FAILURE")


def check_end(plain: PlainProcesses) -> None:
    """Each service stops on SIGTERM, and its health check notices."""
    for name in ("flower", "worker", "api", "redis"):
        # uvicorn finishes what it does, and then ends by the signal that it was sent.
        well = (0, -signal.SIGTERM) if name == "api" else (0,)
        assert plain.stop(name) in well, plain.running[name].output()[-4000:]
        if name == "worker" and plain.heartbeat.exists():
            os.utime(plain.heartbeat, (0, 0))  # as if it had stopped long ago
        assert plain.check_health(name).returncode != 0


def wait_until(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < ends_at, "deadline exceeded"
        time.sleep(0.1)
