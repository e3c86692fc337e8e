"""A request that does not arrive whole in time is cut off; everything else is left alone."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.http.protocol import DeadlineProtocol
from tests.api.service import LOGIN, PATIENCE, in_process, settings

HEAD = f"POST {LOGIN} HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\n"


class ShortDeadline(DeadlineProtocol):
    arrival_seconds = 0.2


@pytest.fixture
def port(real_redis_url: str, tmp_path: Path) -> Iterator[int]:
    values = settings(real_redis_url, tmp_path)
    with in_process(values, ShortDeadline) as client:
        port = client.base_url.port
        assert port is not None
        yield port


@pytest.mark.parametrize(
    "sent",
    ["", "GET /healthz", HEAD, f"{HEAD}Content-Length: 100\r\n\r\n{{"],
    ids=["nothing", "half a line", "half a head", "half a body"],
)
def test_a_half_sent_request_is_cut_off(port: int, sent: str) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(sent.encode())
        assert client.recv(1000) == b""


def test_a_second_request_on_a_connection_has_a_deadline_too(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: api\r\n\r\n")
        assert b" 200 " in client.recv(1000)
        client.sendall(b"GET /healthz")
        received = client.recv(1000)
        while received.endswith(b"}"):  # the rest of the first answer
            received = client.recv(1000)
        assert received == b""


def test_an_answer_may_take_longer_than_a_request(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        body = '{"username": "runner@example.com", "password": "correct horse"}'
        client.sendall(f"{HEAD}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        accepted = client.recv(4000).decode()
        job_id = accepted.partition('"job_id":"')[2].partition('"')[0]
        token = accepted.partition('"poll_token":"')[2].partition('"')[0]
        poll = [
            f"GET /api/jobs/{job_id}?wait=1 HTTP/1.1",
            "Host: api",
            f"Authorization: Bearer {token}",
        ]
        client.sendall("\r\n".join([*poll, "", ""]).encode())
        assert b" 200 " in client.recv(4000)
