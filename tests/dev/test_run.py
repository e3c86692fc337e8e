"""`make dev`: one at a time, with the settings it is given, and a greeting that tells the truth."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from dev import run
from dev.data_folder import DataFolder
from dev.processes import ROOT, Process, clean_environment, free_port, says
from dev.simulator import Simulator

_COMMAND = (sys.executable, "-m", "dev.run")


@dataclass(frozen=True)
class Running:
    process: Process
    folder: Path
    port: int


@pytest.fixture(scope="module")
def running(
    running_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """`make dev` with a setting of the person's, in an environment that leads to the simulator."""
    folder, port = tmp_path_factory.mktemp("dev") / "data", free_port()
    settings = {"FITTRACK_REQUIRE_CLIENT_KEY": "true", "FITTRACK_LOG_LEVEL": "WARNING"}
    with Process(
        "make dev",
        [*_COMMAND, folder],
        folder.parent / "output",
        clean_environment(settings | running_simulator.environment | {"PORT": str(port)}),
        says("Ctrl-C stops everything."),
    ) as process:
        yield Running(process, folder, port)


def start_another(folder: Path, port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_COMMAND, folder],
        cwd=ROOT,
        env=clean_environment({"PORT": str(port)}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_says_which_garmin_it_talks_to(running: Running, running_simulator: Simulator) -> None:
    address = running_simulator.proxy_url.removeprefix("http://")
    assert f"the simulated Garmin behind the proxy {address}." in running.process.output()


def test_settings_reach_the_service(running: Running) -> None:
    body = {"username": "plain-anna@example.com", "password": "secret"}
    url = f"http://127.0.0.1:{running.port}/api/garmin/login"
    reply = httpx.post(url, json=body, trust_env=False)
    assert reply.json()["code"] == "unauthorized"


def test_the_operator_s_command_works_as_it_is_printed(running: Running) -> None:
    [command] = re.findall(r"^ +(\(set -a; .*\))$", running.process.output(), re.MULTILINE)
    added = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert added.returncode == 0, added.stderr
    body = {"username": "plain-anna@example.com", "password": "secret"}
    reply = httpx.post(
        f"http://127.0.0.1:{running.port}/api/garmin/login",
        json=body,
        headers={"X-Client-Key": added.stdout.strip()},
        trust_env=False,
    )
    assert reply.status_code == 202


def test_nobody_else_can_read_the_settings_and_the_key(running: Running) -> None:
    for name in ("env", "encryption-key"):
        assert (running.folder / name).stat().st_mode & 0o777 == 0o600
    assert running.folder.stat().st_mode & 0o777 == 0o700


def test_a_second_one_says_that_one_is_running(running: Running) -> None:
    second = start_another(running.folder, free_port())
    assert second.returncode == 1
    assert second.stdout == ""
    holder = f"process {running.process.pid}, http://127.0.0.1:{running.port}"
    assert second.stderr == f"make dev: it is already running ({holder})\n"


def test_a_port_in_use_is_told_in_one_line(running: Running, tmp_path: Path) -> None:
    second = start_another(tmp_path / "data", running.port)
    assert second.returncode == 1
    assert second.stdout == ""
    assert second.stderr == (
        f"make dev: can't use port {running.port} (address already in use): "
        f"try `make dev PORT={running.port + 1}`\n"
    )


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_a_port_that_is_none_is_told_in_one_line(
    port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(SystemExit, match=f"make dev: PORT={port} is not a port"):
        run.chosen_port()


def test_an_unknown_setting_is_told_without_a_traceback(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*_COMMAND, tmp_path / "data"],
        cwd=ROOT,
        env=clean_environment({"PORT": str(free_port()), "FITTRACK_REQUIRE_CLIENTKEY": "true"}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1
    assert "did you mean FITTRACK_REQUIRE_CLIENT_KEY?" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_key_is_made_once_and_one_that_is_given_is_used_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = DataFolder(tmp_path / "data")
    made = run.settings(folder)["FITTRACK_ENCRYPTION_KEYS"]
    assert run.settings(folder)["FITTRACK_ENCRYPTION_KEYS"] == made
    monkeypatch.setenv("FITTRACK_ENCRYPTION_KEYS_FILE", "/run/secrets/keys")
    monkeypatch.setenv("FITTRACK_CLIENT_KEY", "the client's, not the service's")
    assert run.settings(folder) == {"FITTRACK_ENCRYPTION_KEYS_FILE": "/run/secrets/keys"}


def test_the_greeting_knows_the_real_garmin_and_hides_a_proxy_s_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    assert run.garmin_route() == "It talks to the real Garmin."
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hidden@proxy.example.com:3128")
    assert run.garmin_route() == "It talks to Garmin through the proxy proxy.example.com:3128."
    monkeypatch.setenv("NO_PROXY", "*")
    assert run.garmin_route() == "It talks to the real Garmin."


def test_ending_it_stops_everything_and_removes_the_settings_file(running: Running) -> None:
    """The last one: nothing runs afterwards."""
    running.process.signal(signal.SIGTERM)
    assert running.process.wait(60) == 0
    assert running.process.output().endswith("\nStopped.\n")
    assert not (running.folder / "env").exists()
    with DataFolder(running.folder).locked("the next one"):
        pass
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{running.port}/healthz", trust_env=False)


def test_an_unknown_setting_is_named_in_one_line(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*_COMMAND, tmp_path / "data"],
        cwd=ROOT,
        env=clean_environment({"FITTRACK_JOBTTL": "300"}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1
    assert (ended.stdout, ended.stderr) == (
        "",
        "make dev: FITTRACK_JOBTTL: is not a setting, did you mean FITTRACK_JOB_TTL?\n",
    )
