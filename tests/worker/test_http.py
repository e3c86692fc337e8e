"""The connection adapter, against a small server that misbehaves on demand."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import requests

from dev.processes import free_port
from dev.short import SHORT
from shared.errors import FitTrackError, GarminUnavailableError, JobLostError, TimedOutError
from tests.worker.ways import FixedPermit
from worker.drivers.http import GarminAdapter

EXCHANGE = "/oauth-service/oauth/exchange/user/2.0"
ELSEWHERE = "/mobile/api/login"
Answer = Callable[[socket.socket], None]


class Server:
    """Answers each connection's one request with the next of `answers`, then repeats the last."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [ok()]
        self.requests: list[bytes] = []
        self.stopping = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def hang(self, connection: socket.socket) -> None:
        self.stopping.wait(250)

    def _serve(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                head = connection.recv(65_536)
                if not head:
                    continue
                self.requests.append(head)
                answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
                try:
                    answer(connection)
                except OSError:
                    continue  # the client closed first


def ok(body: bytes = b"{}", status: str = "200 OK", *headers: str) -> Answer:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    message = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    return lambda connection: connection.sendall(message)


def cut(connection: socket.socket) -> None:
    """Close without an answer."""


def cut_in_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def permit() -> FixedPermit:
    return FixedPermit()


@pytest.fixture
def session(adapter: GarminAdapter, permit: FixedPermit) -> Iterator[requests.Session]:
    """A plain session that uses the adapter."""
    with requests.Session() as session:
        session.mount("http://", adapter.permitted(adapter.route("garth", permit)))
        yield session


def test_an_answer_arrives_whole(server: Server, session: requests.Session) -> None:
    body = bytes(range(256)) * 4096
    server.answers = [ok(body, "201 Created", "X-Said: so")]
    response = session.get(server.url + ELSEWHERE)
    assert (response.status_code, response.headers["X-Said"]) == (201, "so")
    assert response.content == body


def test_a_compressed_answer_is_decompressed(server: Server, session: requests.Session) -> None:
    packed = gzip.compress(b'{"a": "' + b"x" * 200_000 + b'"}')

    def in_chunks(connection: socket.socket) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head)
        for byte in packed:
            connection.sendall(b"1\r\n" + bytes([byte]) + b"\r\n")
        connection.sendall(b"0\r\n\r\n")

    server.answers = [in_chunks]
    assert session.get(server.url).json() == {"a": "x" * 200_000}


def test_an_empty_answer_is_an_answer(server: Server, session: requests.Session) -> None:
    server.answers = [ok(b"", "204 No Content")]
    response = session.get(server.url)
    assert (response.status_code, response.content) == (204, b"")


def test_a_dripping_answer_is_given_up(
    server: Server, session: requests.Session, adapter: GarminAdapter
) -> None:
    adapter.timings = replace(SHORT, garmin_answer=0.5)

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not server.stopping.wait(0.05):  # sooner than any timeout between two bytes
            connection.sendall(b"x")

    server.answers = [drip]
    with pytest.raises(GarminUnavailableError):
        session.get(server.url + ELSEWHERE)
    assert len(server.requests) == 1


def test_a_missing_answer_is_given_up(
    server: Server, session: requests.Session, adapter: GarminAdapter
) -> None:
    adapter.timings = replace(SHORT, garmin_answer=0.3)
    server.answers = [server.hang]
    with pytest.raises(GarminUnavailableError):
        session.post(server.url + ELSEWHERE, data="password")
    assert len(server.requests) == 1


def test_a_large_answer_is_given_up(server: Server, session: requests.Session) -> None:
    server.answers = [ok(b"x" * (4 * 1024 * 1024 + 1))]
    with pytest.raises(GarminUnavailableError):
        session.get(server.url)


def test_a_decompression_bomb_is_given_up(server: Server, session: requests.Session) -> None:
    bomb = gzip.compress(b"x" * 64 * 1024 * 1024)
    server.answers = [ok(bomb, "200 OK", "Content-Encoding: gzip")]
    with pytest.raises(GarminUnavailableError):
        session.get(server.url)


@pytest.mark.parametrize("answer", [cut, cut_in_body])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_that_garmin_may_have_seen_is_not_repeated(
    server: Server, session: requests.Session, answer: Answer, method: str
) -> None:
    server.answers = [answer]
    with pytest.raises(GarminUnavailableError):
        session.request(method, server.url + ELSEWHERE, data=b"password")
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["408 Timeout", "429 Too Many", "500 No", "502 No", "503 No"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_answered_request_is_not_repeated(
    server: Server, session: requests.Session, status: str, method: str
) -> None:
    server.answers = [ok(b"{}", status, "Retry-After: 3600")]
    response = session.request(method, server.url + ELSEWHERE)
    assert response.headers["Retry-After"] == "3600"
    assert len(server.requests) == 1


@pytest.mark.parametrize("failure", [cut, cut_in_body, ok(b"", "503 No", "Retry-After: 3600")])
def test_a_failed_exchange_is_repeated(
    server: Server, session: requests.Session, failure: Answer
) -> None:
    server.answers = [failure, failure, ok(b'{"access_token": "a"}')]
    response = session.post(server.url + EXCHANGE, data="audience=x")
    assert response.json() == {"access_token": "a"}
    assert len(server.requests) == 3


def test_a_failed_exchange_is_repeated_twice_at_most(
    server: Server, session: requests.Session
) -> None:
    server.answers = [ok(b"", "503 No")]
    assert session.post(server.url + EXCHANGE).status_code == 503
    assert len(server.requests) == 3
    server.answers = [cut]
    with pytest.raises(GarminUnavailableError):
        session.post(server.url + EXCHANGE)
    assert len(server.requests) == 6


@pytest.mark.parametrize("status", ["200 OK", "400 No", "401 No", "429 No"])
def test_an_answered_exchange_is_not_repeated(
    server: Server, session: requests.Session, status: str
) -> None:
    server.answers = [ok(b"{}", status)]
    session.post(server.url + EXCHANGE)
    assert len(server.requests) == 1


def test_a_closed_port_is_no_answer(session: requests.Session) -> None:
    with pytest.raises(GarminUnavailableError):
        session.get(f"http://127.0.0.1:{free_port()}/")


@pytest.mark.parametrize("error", [TimedOutError(), JobLostError()])
def test_nothing_is_sent_without_permission(
    server: Server, session: requests.Session, permit: FixedPermit, error: FitTrackError
) -> None:
    permit.error = error
    with pytest.raises(type(error)):
        session.post(server.url + ELSEWHERE, data="password")
    assert server.requests == []


def test_a_lost_job_repeats_nothing(
    server: Server, session: requests.Session, permit: FixedPermit
) -> None:
    def lose(connection: socket.socket) -> None:
        permit.error = JobLostError()

    server.answers = [lose]
    with pytest.raises(JobLostError):
        session.post(server.url + EXCHANGE)
    assert len(server.requests) == 1


def test_an_answer_is_given_up_at_the_jobs_deadline(
    server: Server, session: requests.Session, adapter: GarminAdapter, permit: FixedPermit
) -> None:
    adapter.timings = replace(SHORT, garmin_answer=3600.0)
    permit.left = 0.5
    server.answers = [server.hang]
    with pytest.raises(GarminUnavailableError):
        session.get(server.url + ELSEWHERE)


def test_sessions_that_share_the_pool_share_no_cookies(
    server: Server, adapter: GarminAdapter
) -> None:
    server.answers = [ok(b"{}", "200 OK", "Set-Cookie: SESSION=mine; Path=/"), ok()]
    with requests.Session() as first, requests.Session() as second:
        for session in (first, second):
            session.mount("http://", adapter.permitted(adapter.route("garth", FixedPermit())))
        first.get(server.url)
        second.get(server.url)
        first.get(server.url)
    assert b"SESSION" not in server.requests[1]
    assert b"SESSION=mine" in server.requests[2]


def test_closing_a_session_leaves_the_pool_open(
    adapter: GarminAdapter,
) -> None:
    kept = adapter.poolmanager.connection_from_url("http://127.0.0.1:1")
    with requests.Session() as session:
        session.mount("http://", adapter.permitted(adapter.route("garth", FixedPermit())))
    assert adapter.poolmanager.connection_from_url("http://127.0.0.1:1") is kept


def test_nothing_is_sent_where_a_redirect_leaves_https(
    server: Server, adapter: GarminAdapter, permit: FixedPermit
) -> None:
    with (
        adapter.session(adapter.route("garth", permit)) as session,
        pytest.raises(GarminUnavailableError),
    ):
        session.get(server.url + ELSEWHERE)
    assert server.requests == []
