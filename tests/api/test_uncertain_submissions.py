"""Submissions whose message is on its way when Redis stops answering.

A job whose message was sent runs, so its client gets the job, and nobody else its challenge.
"""

import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from dev.servers import RedisServer
from tests.api.problems import assert_problem
from tests.api.service import CREDENTIALS, LOGIN, Job, Service, running, settings


class Relay:
    """Passes connections on to the broker, and interferes once a message passes."""

    def __init__(self, port: int) -> None:
        self._broker = ("127.0.0.1", port)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._socket.getsockname()[1]}/0"
        self.on_message: Callable[[], None] = lambda: None
        self.answers = True
        self._open = ExitStack()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._open.close()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            broker = socket.create_connection(self._broker)
            for connection in (client, broker):
                self._open.callback(connection.close)
            passed = threading.Event()
            for work in (self._pass_on, self._answer):
                threading.Thread(target=work, args=(client, broker, passed), daemon=True).start()

    def _pass_on(
        self, client: socket.socket, broker: socket.socket, passed: threading.Event
    ) -> None:
        while data := _received(client):
            if b"LPUSH" in data:
                passed.set()
            broker.sendall(data)

    def _answer(
        self, client: socket.socket, broker: socket.socket, passed: threading.Event
    ) -> None:
        while data := _received(broker):
            if passed.is_set():  # the broker has it
                passed.clear()
                self.on_message()
            if self.answers:
                client.sendall(data)


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""


@dataclass
class Setup:
    service: Service
    redis: RedisServer
    broker: Relay

    @contextmanager
    def redis_hangs_on_message(self, *, answered: bool = True) -> Iterator[None]:
        """From the moment at which the broker has the message; the API may not hear of that."""

        def hang() -> None:
            self.redis.signal(signal.SIGSTOP)
            self.broker.answers = answered

        self.broker.on_message = hang
        try:
            yield
        finally:
            self.broker.on_message, self.broker.answers = lambda: None, True
            self.redis.signal(signal.SIGCONT)


@pytest.fixture
def setup(server_folder: Path) -> Iterator[Setup]:
    folder = Path(tempfile.mkdtemp(dir=server_folder))
    for name in ("redis", "broker"):
        (folder / name).mkdir()
    with ExitStack() as exit:
        redis, broker = (
            exit.enter_context(RedisServer(folder / name)) for name in ("redis", "broker")
        )
        relay = Relay(broker.port)
        exit.callback(relay.close)
        values = settings(redis.url, folder, FITTRACK_BROKER_URL=relay.url)
        yield Setup(exit.enter_context(running(folder, values)), redis, relay)


def test_a_sign_in_whose_message_was_sent_is_accepted(setup: Setup) -> None:
    with setup.redis_hangs_on_message():
        reply = setup.service.client.post(LOGIN, json=CREDENTIALS)
    assert reply.status_code == 202, reply.text
    job = Job(reply.json()["job_id"], reply.json()["poll_token"])
    assert setup.service.poll(job).json()["status"] == "queued"


def test_a_code_whose_message_was_sent_keeps_its_challenge(setup: Setup) -> None:
    challenge_id = setup.service.ask_for_code().challenge_id.get_secret_value()
    with setup.redis_hangs_on_message():
        assert setup.service.send_code(challenge_id).status_code == 202
    assert_problem(setup.service.send_code(challenge_id), 409, "challenge_busy")


def test_a_code_whose_message_may_have_been_sent_keeps_its_challenge(setup: Setup) -> None:
    challenge_id = setup.service.ask_for_code().challenge_id.get_secret_value()
    with setup.redis_hangs_on_message(answered=False):
        assert setup.service.send_code(challenge_id).status_code == 503
    assert_problem(setup.service.send_code(challenge_id), 409, "challenge_busy")
