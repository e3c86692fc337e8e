"""The simulator as a process of its own, and inside another."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from dev.simulator import Simulator

ROOT = Path(__file__).parents[2]
PAGE = "https://sso.garmin.com/mobile/sso/en/sign-in?clientId=GCM_ANDROID_DARK"


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    command = [sys.executable, "-m", "dev.simulator", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as running:
        try:
            assert running.stdout is not None
            yield running, json.loads(running.stdout.readline())
        finally:
            running.kill()


def status(proxy_url: str, ca_file: str) -> int:
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"https": proxy_url}
        session.verify = ca_file
        return session.get(PAGE, timeout=20).status_code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_ends_when_told(number: signal.Signals, tmp_path: Path) -> None:
    env_file = tmp_path / "garmin.env"
    with process("--env-file", str(env_file), "--latency-ms", "1") as (running, addresses):
        assert set(addresses) == {"proxy_url", "control_url", "ca_file"}
        assert status(addresses["proxy_url"], addresses["ca_file"]) == 200
        assert f"HTTPS_PROXY={addresses['proxy_url']}\n" in env_file.read_text()
        assert f"SSL_CERT_FILE={addresses['ca_file']}\n" in env_file.read_text()
        running.send_signal(number)
        assert running.wait(timeout=60) == 0


def test_it_keeps_its_authority_where_it_is_told_to(tmp_path: Path) -> None:
    with process("--state-dir", str(tmp_path)) as (_, first):
        known = tmp_path.joinpath("ca.pem").read_text()
        assert first["ca_file"] == str(tmp_path / "ca.pem")
    with process("--state-dir", str(tmp_path)) as (_, second):
        assert tmp_path.joinpath("ca.pem").read_text() == known
        assert status(second["proxy_url"], second["ca_file"]) == 200


def test_nothing_is_left_of_it_inside_another_process() -> None:
    before = threading.active_count()
    with Simulator() as garmin:
        assert threading.active_count() == before + 1
        assert status(garmin.proxy_url, garmin.ca_file) == 200
    assert threading.active_count() == before
    assert not Path(garmin.ca_file).exists()


def test_it_ends_though_clients_are_connected(tmp_path: Path) -> None:
    with requests.Session() as session:
        session.trust_env = False
        with Simulator(state_dir=tmp_path) as garmin:
            session.proxies, session.verify = {"https": garmin.proxy_url}, garmin.ca_file
            assert session.get(PAGE, timeout=20).status_code == 200
        with pytest.raises(requests.exceptions.ConnectionError):
            session.get(PAGE, timeout=20)


def test_a_taken_port_is_an_error() -> None:
    with Simulator() as garmin:
        port = int(garmin.proxy_url.rpartition(":")[2])
        with pytest.raises(OSError, match="address"):
            Simulator(port=port).start()


def test_its_environment_leads_to_it_alone() -> None:
    with Simulator() as garmin:
        assert garmin.environment["HTTPS_PROXY"] == garmin.proxy_url
        assert garmin.environment["NO_PROXY"] == "127.0.0.1,localhost"
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            assert garmin.environment[name] == garmin.ca_file
