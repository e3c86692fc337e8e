"""One try: which host it goes to, and as whom that host has to identify itself."""

import asyncio
import socket
import ssl
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from shared.webhooks.events import EventType, WebhookEvent
from shared.webhooks.signing import WebhookSecrets
from tests.webhook_outbox import TIMINGS
from tests.webhook_receiver import receiving
from worker.webhooks.sender import Sender

EVENT = WebhookEvent(
    uuid.uuid4(), EventType.TEST, datetime.now(UTC), None, None, None, None, None, None
)


def send(url: str) -> str:
    async def one() -> str:
        return (await Sender(TIMINGS).send(url, WebhookSecrets.new(), EVENT)).text

    return asyncio.run(one())


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority


def identity(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names that were resolved; each is the local host, after an address where nobody listens."""
    resolved: list[str] = []
    numeric: Callable[..., object] = socket.getaddrinfo

    def resolve(host: str, port: int, *rest: object, **named: object) -> object:
        if host != "app.example":
            return numeric(host, port, *rest, **named)
        resolved.append(host)
        return [(0, 0, 0, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return resolved


def test_a_name_is_resolved_once_and_its_certificate_is_checked_by_name(
    authority: trustme.CA, names: list[str]
) -> None:
    with receiving(tls=identity(authority, "app.example")) as receiver:
        assert send(f"https://app.example:{receiver.port}/hooks") == "204"
    assert names == ["app.example"]
    (one,) = receiver.received
    assert one.headers["host"] == f"app.example:{receiver.port}"
    assert one.path == "/hooks"


def test_a_certificate_for_another_name_is_not_accepted(
    authority: trustme.CA, names: list[str]
) -> None:
    with receiving(tls=identity(authority, "other.example")) as receiver:
        assert send(f"https://app.example:{receiver.port}/hooks") == "tls_failed"
    assert receiver.received == []


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with receiving() as receiver:
        assert send(receiver.url) == "204"


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("http://nobody.invalid/", "name_unknown"),
        ("http://127.0.0.1:9/", "not_connected"),
        ("http://93.184.215.14/", "address_refused"),
        ("https://169.254.169.254/", "address_refused"),
    ],
)
def test_what_can_not_be_reached_has_a_word_for_why(url: str, answer: str) -> None:
    assert send(url) == answer
