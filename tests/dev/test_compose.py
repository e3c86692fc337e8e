"""docker-compose.yml: its rules hold, and the very commands it names work, as plain processes."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from redis import Redis
from redis.exceptions import AuthenticationError
from ruamel.yaml import YAML
from sqlalchemy import create_engine, text

from dev.processes import ROOT, Process, free_port
from dev.server_programs import postgres_folder, redis_server
from dev.servers import PostgresServer
from dev.simulator import PASSWORD, Simulator
from dev.stack import BIN, new_key
from shared.settings import PREFIX, Settings
from tests.end_to_end.client import Client

COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SECRETS = {
    "FITTRACK_ENCRYPTION_KEYS": new_key(),
    "POSTGRES_PASSWORD": "postgres-secret",
    "REDIS_PASSWORD": "redis-secret",
    "FLOWER_BASIC_AUTH": "operator:flower-secret",
}
CONTRACT = {
    "migrate": "alembic upgrade head",
    "api": "uvicorn api.main:app",
    "worker": "celery -A worker.main worker",
    "flower": "celery -A worker.main flower",
}
LONGEST_SIGN_IN = 120
LONGEST_POLL = 30


class MissingVariableError(LookupError):
    """`${NAME:?complaint}`, and no NAME."""


@dataclass(frozen=True)
class Service:
    """One service, its variables filled in."""

    name: str
    raw: dict[str, Any]
    variables: Mapping[str, str]

    @property
    def command(self) -> list[str]:
        command = self.raw["command"]
        words = shlex.split(command) if isinstance(command, str) else command
        return [interpolated(word, self.variables) for word in words]

    @property
    def environment(self) -> dict[str, str]:
        """A name without a value passes on the variable of that name, if there is one."""
        filled = {
            name: self.variables.get(name) if value is None else interpolated(value, self.variables)
            for name, value in self.raw.get("environment", {}).items()
        }
        return {name: value for name, value in filled.items() if value is not None}

    @property
    def health_check(self) -> list[str]:
        test = self.raw["healthcheck"]["test"]
        if isinstance(test, str):
            return ["/bin/sh", "-c", interpolated(test, self.variables)]
        assert test[0] == "CMD"
        return [interpolated(word, self.variables) for word in test[1:]]

    @property
    def stop_seconds(self) -> int:
        return int(self.raw.get("stop_grace_period", "10s").removesuffix("s"))


def services(content: str = COMPOSE, variables: Mapping[str, str] = SECRETS) -> dict[str, Service]:
    document = YAML(typ="safe").load(content)
    return {n: Service(n, raw, variables) for n, raw in document["services"].items()}


def interpolated(value: str, variables: Mapping[str, str]) -> str:
    def fill(match: re.Match[str]) -> str:
        name, how, rest = match.group("name", "how", "rest")
        if name is None:
            return "$"
        if variables.get(name):
            return variables[name]
        if how == "?":
            raise MissingVariableError(name)
        return str(rest)

    return re.sub(r"\$(?:\$|\{(?P<name>\w+):(?P<how>[-?])(?P<rest>[^}]*)\})", fill, value)


# ---- What the file says ---------------------------------------------------------------------


def test_it_follows_the_compose_specification() -> None:
    result = subprocess.run(["/bin/sh", ROOT / "dev/check-compose.sh"], check=False)
    assert result.returncode == 0


def test_the_commands_are_the_documented_ones() -> None:
    assert set(services()) == {*CONTRACT, "postgres", "redis"}
    for name, command in CONTRACT.items():
        words = command.split()
        assert services()[name].command[: len(words)] == words


def test_one_image_is_built_once_and_used_by_all() -> None:
    assert {services()[name].raw["image"] for name in CONTRACT} == {"fittrack-auth"}
    assert [name for name, service in services().items() if "build" in service.raw] == ["migrate"]
    for name in ("api", "worker"):  # Compose starts nothing before everything is built
        assert "migrate" in services()[name].raw["depends_on"]


@pytest.mark.parametrize("name", services())
def test_every_service_is_confined(name: str) -> None:
    raw = services()[name].raw
    assert raw["read_only"] is True
    assert raw["cap_drop"] == ["ALL"]
    assert raw["security_opt"] == ["no-new-privileges:true"]
    assert raw["restart"] == ("no" if name == "migrate" else "unless-stopped")
    assert "healthcheck" in raw or name == "migrate"
    # The others run as the image's own user: see the Dockerfile's last line.
    assert raw.get("user") == {"postgres": "postgres", "redis": "redis"}.get(name)


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_has_a_default(secret: str) -> None:
    assert set(re.findall(rf"\$\{{{secret}\b(..)", COMPOSE)) == {":?"}
    found = services(variables=SECRETS | {secret: ""}).values()
    with pytest.raises(MissingVariableError, match=secret):
        [service.environment for service in found]


def test_nothing_but_the_api_and_flower_is_published_and_only_on_the_loopback() -> None:
    published = {
        name: [interpolated(port, SECRETS) for port in service.raw["ports"]]
        for name, service in services().items()
        if "ports" in service.raw
    }
    assert published == {"api": ["127.0.0.1:8000:8000"], "flower": ["127.0.0.1:5555:5555"]}


def test_only_what_has_to_can_reach_the_outside() -> None:
    networks = YAML(typ="safe").load(COMPOSE)["networks"]
    assert networks["backend"] == {"internal": True}
    for name, service in services().items():
        outside = set(service.raw["networks"]) - {"backend"}
        assert bool(outside) == (name in {"api", "worker", "flower"}), name
        assert outside <= set(networks)


def test_what_a_service_waits_for_can_come_true() -> None:
    found = services()
    for service in found.values():
        for name, how in service.raw.get("depends_on", {}).items():
            finishes = found[name].raw["restart"] == "no"
            expected = "service_completed_successfully" if finishes else "service_healthy"
            assert how == {"condition": expected}


def test_api_and_worker_are_told_every_setting() -> None:
    names = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in ("api", "worker"):
        environment = services()[name].raw["environment"]
        assert {n for n in environment if n.startswith(PREFIX)} == names


def test_flower_knows_neither_the_keys_nor_the_database() -> None:
    told = str(services()["flower"].environment)
    assert SECRETS["FITTRACK_ENCRYPTION_KEYS"] not in told
    assert SECRETS["POSTGRES_PASSWORD"] not in told


def test_a_stop_leaves_time_for_what_was_begun() -> None:
    assert services()["worker"].stop_seconds > LONGEST_SIGN_IN + 10
    command = services()["api"].command
    patience = int(command[command.index("--timeout-graceful-shutdown") + 1])
    assert LONGEST_POLL < patience < services()["api"].stop_seconds


# ---- The image ------------------------------------------------------------------------------


def test_the_image_is_built_from_pinned_wheels_and_runs_as_nobody_in_particular() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    assert [line for line in lines if line.startswith("FROM")] == [
        "FROM python:3.13-slim AS build",
        "FROM python:3.13-slim",
    ]
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
    assert lines[-1].startswith("USER")
    for command in re.findall(r"pip [^&]*?install [^&]*", "\n".join(lines)):
        assert "--require-hashes" in command or "--no-index" in command


def test_what_the_image_copies_is_there_and_is_let_in() -> None:
    let_in = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    assert ".env" not in let_in
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, re.MULTILINE):
        for name in copied.split():
            assert (ROOT / name).exists(), name
            assert any(name == top or name.startswith(f"{top}/") for top in let_in), name


# ---- What its commands do -------------------------------------------------------------------


class PlainProcesses:
    """The compose file's services on 127.0.0.1 and free ports, health checks and all."""

    def __init__(self, folder: Path, postgres_port: int, garmin: Mapping[str, str]) -> None:
        self.folder = folder
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

    def start(self, name: str) -> Process:
        """Starts one service and waits for what others wait for: its health, or its end."""
        service = self.services[name]
        ready = self._ended_well if service.raw["restart"] == "no" else self._is_healthy(name)
        log = self.folder / f"{name}.log"
        process = Process(name, service.command, log, self._environment(name), ready)
        self.running[name] = process
        self._exit.callback(process.stop)
        return process.wait_ready()

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
        """Asks it to end, and insists once its time to stop is over."""
        return self.running[name].stop(self.services[name].stop_seconds)

    def close(self) -> None:
        self._exit.close()

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.ports[port]}"

    def _environment(self, name: str) -> dict[str, str]:
        """What a container has: what the compose file says, and next to nothing else."""
        places = [
            str(BIN),
            str(self.folder / "bin"),
            str(postgres_folder()),
            os.environ["PATH"],
        ]
        bare = {"PATH": os.pathsep.join(places), "HOSTNAME": socket.gethostname()}
        garmin = dict(self._garmin) if name == "worker" else {}
        return bare | self.services[name].environment | garmin

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


def test_its_commands_sign_somebody_in_as_plain_processes(plain: PlainProcesses) -> None:
    assert plain.check_health("postgres").returncode == 0
    for name in ("redis", "migrate", "api", "worker", "flower"):
        plain.start(name)
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
    """It has its options, wants its password, and shows it to nobody."""
    password, port = SECRETS["REDIS_PASSWORD"], plain.ports["6379"]
    with Redis(port=port) as redis, pytest.raises(AuthenticationError):
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
    """The operator sees the task: its only argument is the job's id. Nobody else sees anything."""
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
    assert flower.post(f"/api/task/revoke/{job_id}").status_code == 403  # it looks on, no more


def ended(reply: httpx.Response) -> bool:
    return reply.json()["state"] in ("SUCCESS", "FAILURE")


def check_end(plain: PlainProcesses) -> None:
    """Each ends by itself when asked to, and its health check notices."""
    for name in ("flower", "worker", "api", "redis"):
        # uvicorn finishes what it does, and then ends by the signal that it was sent.
        well = (0, -signal.SIGTERM) if name == "api" else (0,)
        assert plain.stop(name) in well, plain.running[name].output()[-4000:]
        assert plain.check_health(name).returncode != 0


def wait_until(reached: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 90
    while not reached():
        assert time.monotonic() < ends_at, "it does not get there"
        time.sleep(0.1)
