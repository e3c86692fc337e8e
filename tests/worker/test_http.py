"""The connection adapter, against a small server that misbehaves as it is told."""

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import requests

from dev.processes import free_port
from shared.errors import JobLostError, TimedOutError
from shared.jobs.claims import Claim
from shared.jobs.states import JobKind
from shared.timings import PRODUCTION
from worker import lease
from worker.drivers.http import GarminAdapter
from worker.lease import Lease

EXCHANGE = "/oauth-service/oauth/exchange/user/2.0"
ELSEWHERE = "/mobile/api/login"
Answer = Callable[[socket.socket], None]


class Server:
    """Answers each connection's one request with the next of `answers`, the last for ever."""

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
                    continue  # the client went first


def ok(body: bytes = b"{}", status: str = "200 OK", *headers: str) -> Answer:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    message = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    return lambda connection: connection.sendall(message)


def cut(connection: socket.socket) -> None:
    """Hangs up without a word."""


def cut_in_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the adapter slept, which it does not while this is used."""
    naps: list[float] = []

    class Clock:
        monotonic = staticmethod(time.monotonic)
        sleep = staticmethod(naps.append)

    monkeypatch.setattr("worker.drivers.http.time", Clock)
    return naps


@contextmanager
def job(deadline: float | None, *, lost: bool = False) -> Iterator[Lease]:
    """This thread runs a job that has so many seconds left."""
    now = time.monotonic()
    claim = Claim("1", "first", JobKind.LOGIN, 1, None, None)
    ends_at = None if deadline is None else now + deadline
    held = Lease(claim, lambda _: None, ends_at, now + 3600, lost=lost)
    token = lease._current.set(held)
    try:
        yield held
    finally:
        lease._current.reset(token)


def test_an_answer_arrives_whole(server: Server, plain_session: requests.Session) -> None:
    body = bytes(range(256)) * 4096
    server.answers = [ok(body, "201 Created", "X-Said: so")]
    response = plain_session.get(server.url + ELSEWHERE)
    assert (response.status_code, response.headers["X-Said"]) == (201, "so")
    assert response.content == body


def test_a_packed_answer_is_unpacked(server: Server, plain_session: requests.Session) -> None:
    packed = gzip.compress(b'{"a": "' + b"x" * 200_000 + b'"}')

    def in_chunks(connection: socket.socket) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head)
        for byte in packed:
            connection.sendall(b"1\r\n" + bytes([byte]) + b"\r\n")
        connection.sendall(b"0\r\n\r\n")

    server.answers = [in_chunks]
    assert plain_session.get(server.url).json() == {"a": "x" * 200_000}


def test_an_empty_answer_is_an_answer(server: Server, plain_session: requests.Session) -> None:
    server.answers = [ok(b"", "204 No Content")]
    response = plain_session.get(server.url)
    assert (response.status_code, response.content) == (204, b"")


def test_an_answer_that_drips_is_given_up(
    server: Server, plain_session: requests.Session, adapter: GarminAdapter
) -> None:
    adapter.timings = replace(PRODUCTION, garmin_answer=0.5)

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not server.stopping.wait(0.05):  # sooner than any timeout between two bytes
            connection.sendall(b"x")

    server.answers = [drip]
    with pytest.raises(requests.ReadTimeout):
        plain_session.get(server.url + ELSEWHERE)
    assert len(server.requests) == 1


def test_an_answer_that_does_not_come_is_given_up(
    server: Server, plain_session: requests.Session, adapter: GarminAdapter
) -> None:
    adapter.timings = replace(PRODUCTION, garmin_answer=0.3)
    server.answers = [server.hang]
    with pytest.raises(requests.ReadTimeout):
        plain_session.post(server.url + ELSEWHERE, data="password")
    assert len(server.requests) == 1


def test_an_answer_that_is_too_large_is_given_up(
    server: Server, plain_session: requests.Session
) -> None:
    server.answers = [ok(b"x" * (4 * 1024 * 1024 + 1))]
    with pytest.raises(requests.RequestException):
        plain_session.get(server.url)


def test_a_small_answer_that_unpacks_too_large_is_given_up(
    server: Server, plain_session: requests.Session
) -> None:
    bomb = gzip.compress(b"x" * 64 * 1024 * 1024)
    server.answers = [ok(bomb, "200 OK", "Content-Encoding: gzip")]
    with pytest.raises(requests.RequestException):
        plain_session.get(server.url)


@pytest.mark.parametrize("answer", [cut, cut_in_body])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_may_have_been_seen_is_not_sent_again(
    server: Server, plain_session: requests.Session, answer: Answer, method: str
) -> None:
    server.answers = [answer]
    with pytest.raises(requests.ConnectionError):
        plain_session.request(method, server.url + ELSEWHERE, data=b"password")
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["408 Timeout", "429 Too Many", "500 No", "502 No", "503 No"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_answer_is_taken_as_it_is(
    server: Server, plain_session: requests.Session, status: str, method: str, naps: list[float]
) -> None:
    server.answers = [ok(b"{}", status, "Retry-After: 3600")]
    response = plain_session.request(method, server.url + ELSEWHERE)
    assert response.headers["Retry-After"] == "3600"
    assert len(server.requests) == 1
    assert naps == []


@pytest.mark.parametrize("failure", [cut, cut_in_body, ok(b"", "503 No", "Retry-After: 3600")])
def test_the_exchange_is_repeated(
    server: Server, plain_session: requests.Session, failure: Answer, naps: list[float]
) -> None:
    server.answers = [failure, failure, ok(b'{"access_token": "a"}')]
    response = plain_session.post(server.url + EXCHANGE, data="audience=x")
    assert response.json() == {"access_token": "a"}
    assert len(server.requests) == 3
    assert sum(naps) < 5


def test_the_exchange_is_not_repeated_for_ever(
    server: Server, plain_session: requests.Session, naps: list[float]
) -> None:
    server.answers = [ok(b"", "503 No")]
    assert plain_session.post(server.url + EXCHANGE).status_code == 503
    assert len(server.requests) == 3
    server.answers = [cut]
    with pytest.raises(requests.ConnectionError):
        plain_session.post(server.url + EXCHANGE)
    assert len(server.requests) == 6


@pytest.mark.parametrize("status", ["200 OK", "400 No", "401 No", "429 No"])
def test_an_exchange_that_was_answered_is_not_repeated(
    server: Server, plain_session: requests.Session, status: str, naps: list[float]
) -> None:
    server.answers = [ok(b"{}", status)]
    plain_session.post(server.url + EXCHANGE)
    assert len(server.requests) == 1
    assert naps == []


def test_nobody_there_is_a_connection_error(plain_session: requests.Session) -> None:
    with pytest.raises(requests.ConnectionError):
        plain_session.get(f"http://127.0.0.1:{free_port()}/")


def test_a_job_whose_time_is_up_sends_nothing(
    server: Server, plain_session: requests.Session
) -> None:
    with job(deadline=0), pytest.raises(TimedOutError):
        plain_session.post(server.url + ELSEWHERE, data="password")
    assert server.requests == []


def test_a_job_that_was_lost_sends_nothing(server: Server, plain_session: requests.Session) -> None:
    with job(deadline=60, lost=True), pytest.raises(JobLostError):
        plain_session.post(server.url + ELSEWHERE, data="password")
    assert server.requests == []


def test_a_job_that_gets_lost_repeats_nothing(
    server: Server, plain_session: requests.Session, naps: list[float]
) -> None:
    with job(deadline=60) as held:

        def fail(connection: socket.socket) -> None:
            held.lose()

        server.answers = [fail]
        with pytest.raises(JobLostError):
            plain_session.post(server.url + EXCHANGE)
    assert len(server.requests) == 1


def test_an_answer_is_waited_for_no_longer_than_the_job_may_take(
    server: Server, plain_session: requests.Session, adapter: GarminAdapter
) -> None:
    adapter.timings = replace(PRODUCTION, garmin_answer=3600.0)
    server.answers = [server.hang]
    with job(deadline=0.5), pytest.raises(requests.RequestException):
        plain_session.get(server.url + ELSEWHERE)


def test_a_job_without_a_deadline_has_the_usual_time(
    server: Server, plain_session: requests.Session
) -> None:
    with job(deadline=None):
        assert plain_session.get(server.url).status_code == 200


def test_one_adapter_serves_many_sessions_and_keeps_their_cookies_apart(
    server: Server, adapter: GarminAdapter
) -> None:
    server.answers = [ok(b"{}", "200 OK", "Set-Cookie: SESSION=mine; Path=/"), ok()]
    with requests.Session() as first, requests.Session() as second:
        for session in (first, second):
            session.mount("http://", adapter)
        first.get(server.url)
        second.get(server.url)
        first.get(server.url)
    assert b"SESSION" not in server.requests[1]
    assert b"SESSION=mine" in server.requests[2]
