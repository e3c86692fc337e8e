"""The simulator's servers: as a process, inside another process, and on the wire."""

import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from dev.simulator import Simulator
from tests.dev.wire import Wire, wire

ROOT = Path(__file__).parents[2]
PAGE = "https://sso.garmin.com/mobile/sso/en/sign-in?clientId=GCM_ANDROID_DARK"
READ_TIMEOUT_S = 20


def status(proxy_url: str, ca_file: str) -> int:
    with requests.Session() as session:
        session.trust_env = False
        session.proxies, session.verify = {"https": proxy_url}, ca_file
        return session.get(PAGE, timeout=READ_TIMEOUT_S).status_code


def send(garmin: Simulator, data: bytes) -> bytes:
    """Send bytes to the control endpoint and read until it closes the connection."""
    address = ("127.0.0.1", urlsplit(garmin.control_url).port)
    with socket.create_connection(address, timeout=READ_TIMEOUT_S) as connection:
        connection.sendall(data)
        with connection.makefile("rb") as replies:
            return replies.read()


def test_it_prints_its_addresses_and_serves_until_sigterm(tmp_path: Path) -> None:
    env_file = tmp_path / "garmin.env"
    command = [sys.executable, "-m", "dev.simulator"]
    command += ["--env-file", str(env_file), "--state-dir", str(tmp_path), "--latency-ms", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            addresses = json.loads(process.stdout.readline())
            assert set(addresses) == {"proxy_url", "control_url", "ca_file"}
            assert status(addresses["proxy_url"], addresses["ca_file"]) == 200
            assert f"HTTPS_PROXY={addresses['proxy_url']}\n" in env_file.read_text()
            assert f"SSL_CERT_FILE={addresses['ca_file']}\n" in env_file.read_text()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()


def test_a_restarted_simulator_keeps_its_authority(tmp_path: Path) -> None:
    with Simulator(state_dir=tmp_path) as garmin:
        assert garmin.ca_file == str(tmp_path / "ca.pem")
        authority = tmp_path.joinpath("ca.pem").read_text()
        assert authority.count("BEGIN CERTIFICATE") == 1
    with Simulator(state_dir=tmp_path) as garmin:
        assert tmp_path.joinpath("ca.pem").read_text() == authority
        assert status(garmin.proxy_url, garmin.ca_file) == 200


def test_it_leaves_nothing_behind_in_its_process() -> None:
    before = threading.active_count()
    with Simulator() as garmin:
        assert threading.active_count() == before + 1
        assert status(garmin.proxy_url, garmin.ca_file) == 200
    assert threading.active_count() == before
    assert not Path(garmin.ca_file).exists()


def test_it_stops_though_clients_are_connected(tmp_path: Path) -> None:
    with Simulator(state_dir=tmp_path) as garmin, wire(garmin) as client:
        assert client.page().status_code == 200
        garmin.stop()
        with pytest.raises(requests.exceptions.ConnectionError):
            client.page()


def test_a_taken_port_is_an_error() -> None:
    with Simulator() as garmin, pytest.raises(OSError, match="address"):
        Simulator(port=urlsplit(garmin.proxy_url).port or 0).start()


@pytest.mark.parametrize("url", ["https://www.garmin.com/", "https://sso.garmin.com:8443/"])
def test_the_proxy_refuses_hosts_that_are_not_simulated(client: Wire, url: str) -> None:
    with pytest.raises(requests.exceptions.ProxyError, match="403"):
        client.get(url)


def test_the_proxy_forwards_nothing_in_plain_text(client: Wire, garmin: Simulator) -> None:
    client.session.proxies = {"http": garmin.proxy_url}
    assert client.get("http://sso.garmin.com/").status_code == 403


def test_no_public_authority_vouches_for_the_simulator(client: Wire) -> None:
    client.session.verify = True
    with pytest.raises(requests.exceptions.SSLError):
        client.page()


def test_a_connection_serves_requests_until_the_client_asks_to_close_it(garmin: Simulator) -> None:
    one = b"GET /health HTTP/1.1\r\nHost: x\r\n"
    replies = send(garmin, one + b"\r\n" + one + b"Connection: close\r\n\r\n")
    assert replies.count(b"HTTP/1.1 200 OK\r\n") == 2


def test_a_malformed_request_is_a_400(garmin: Simulator) -> None:
    assert send(garmin, b"not HTTP\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_a_head_request_gets_no_body(garmin: Simulator) -> None:
    reply = send(garmin, b"HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 404 ")
    assert reply.endswith(b"\r\n\r\n")
