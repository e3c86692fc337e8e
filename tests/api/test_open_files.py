"""Too many connections: refused with a 503 before the process runs out of file descriptors."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from api.command import connection_limit
from dev.processes import Process, clean_environment
from dev.stack import BIN
from tests.api.service import CREDENTIALS, LOGIN, PATIENCE, bearer, eventually, settings
from tests.databases import migrated_sqlite

OPEN_FILES = 96
"""Few, but more than twice what the API opens at its start, which is 20."""


@contextmanager
def api(folder: Path, redis_url: str, command: str) -> Iterator[tuple[Process, int]]:
    """Run the API where only a few files may be open."""
    migrated_sqlite(folder / "api.db")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    shell = f"ulimit -n {OPEN_FILES}; exec {BIN}/{command} --port {port}"
    environment = clean_environment(settings(redis_url, folder))
    with Process(
        "api", ["sh", "-c", shell], folder / "api.log", environment, lambda _: _accepts(port)
    ) as process:
        yield process, port


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@contextmanager
def crowd(port: int, size: int) -> Iterator[list[http.client.HTTPConnection]]:
    clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE) for _ in range(size)]
    try:
        for client in clients:
            client.connect()
        yield clients
    finally:
        for client in clients:
            client.close()


def test_without_a_free_descriptor_requests_get_a_503(tmp_path: Path, real_redis_url: str) -> None:
    with (
        api(tmp_path, real_redis_url, "uvicorn api.main:app") as (process, port),
        crowd(port, OPEN_FILES) as clients,
    ):
        eventually(lambda: len(list(Path(f"/proc/{process.pid}/fd").iterdir())) >= OPEN_FILES)
        submission = json.dumps(CREDENTIALS)
        headers = {"Content-Type": "application/json"} | bearer("x" * 43)
        for client, (method, path, body, statuses) in zip(
            clients,
            [
                ("POST", LOGIN, submission, {503}),
                # Some connections to servers are open since the API's start, or may be.
                ("GET", "/api/session", None, {503, 401}),
                ("GET", "/api/jobs/00000000-0000-4000-8000-000000000000", None, {503, 404}),
                ("GET", "/readyz", None, {503, 200}),
            ],
            strict=False,
        ):
            client.request(method, path, body, headers)
            assert client.getresponse().status in statuses, path
        client = clients[10]
        client.request("GET", "/healthz")
        assert client.getresponse().status == 200


def test_more_clients_than_the_limit_are_refused_and_the_others_served(
    tmp_path: Path, real_redis_url: str
) -> None:
    limit = connection_limit(OPEN_FILES)
    with (
        ExitStack() as exit,
        api(tmp_path, real_redis_url, "python -m api") as (process, port),
        crowd(port, 1) as first,
    ):
        assert asked(first[0], "/healthz") == 200  # all that connected before is gone
        clients = first + exit.enter_context(crowd(port, limit - 2))
        assert all(asked(client, "/healthz") == 200 for client in clients)  # and stay connected
        for _ in range(5):
            with crowd(port, 1) as [refused]:
                assert asked(refused, "/healthz") == 503
        assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) < OPEN_FILES
        for client in clients[1:]:
            client.close()
        eventually(lambda: asked(clients[0], "/readyz") == 200)


def test_clients_that_send_nothing_keep_nobody_else_away(
    tmp_path: Path, real_redis_url: str
) -> None:
    with (
        ExitStack() as exit,
        api(tmp_path, real_redis_url, "python -m api") as (process, port),
    ):
        for _ in range(OPEN_FILES // 4):
            exit.enter_context(crowd(port, 5))
            with crowd(port, 1) as [client]:
                assert asked(client, "/healthz") == 200
        assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) < OPEN_FILES


def asked(client: http.client.HTTPConnection, path: str) -> int:
    """Return the status of an answer, read to its end."""
    client.request("GET", path)
    answer = client.getresponse()
    answer.read()
    return answer.status


@pytest.mark.parametrize(("open_files", "clients"), [(1024, 724), (16_384, 16_084), (48, 24)])
def test_the_limit_leaves_files_for_the_service_itself(open_files: int, clients: int) -> None:
    assert connection_limit(open_files) == clients
