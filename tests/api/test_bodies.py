"""How a body may come: its type, its size, and how much of it is read."""

import json

import pytest

from tests.api.problems import assert_problem
from tests.api.service import CODE, CREDENTIALS, LOGIN, Service, eventually
from tests.api.wire import send_json, wire

LARGEST = 16 * 1024
JSON = "Content-Type: application/json"


def padded(size: int) -> bytes:
    """A valid body of that many bytes."""
    return json.dumps(CREDENTIALS).encode().ljust(size)


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/problem+json",
        "application/jsonp",
        "application/json, text/plain",
    ],
)
@pytest.mark.parametrize("path", [LOGIN, CODE])
def test_another_media_type_is_refused(service: Service, path: str, content_type: str) -> None:
    reply = service.client.post(
        path, content=json.dumps(CREDENTIALS), headers={"Content-Type": content_type}
    )
    assert_problem(reply, 415, "unsupported_media_type")


def test_a_body_without_a_media_type_is_refused(service: Service) -> None:
    assert_problem(service.client.post(LOGIN, content=b"{}"), 415, "unsupported_media_type")


def test_a_form_is_refused(service: Service) -> None:
    reply = service.client.post(LOGIN, data=CREDENTIALS)
    assert_problem(reply, 415, "unsupported_media_type")


def test_a_body_of_exactly_16_kib_is_read(service: Service) -> None:
    assert send_json(service.stack.port, LOGIN, padded(LARGEST)).status_code == 202


def test_a_body_of_one_byte_more_is_refused(service: Service) -> None:
    reply = send_json(service.stack.port, LOGIN, padded(LARGEST + 1))
    assert_problem(reply, 413, "payload_too_large")


@pytest.mark.parametrize("path", [LOGIN, CODE])
@pytest.mark.parametrize("size", [LARGEST + 1, 10**9, 10**15])
def test_a_body_announced_too_large_is_refused_before_it_arrives(
    service: Service, path: str, size: int
) -> None:
    with wire(service.stack.port) as connection:
        connection.head("POST", path, JSON, f"Content-Length: {size}")
        assert_problem(connection.reply("POST"), 413, "payload_too_large")
        assert connection.closed()


def test_a_body_announced_too_large_gets_no_100_continue(
    service: Service,
) -> None:
    with wire(service.stack.port) as connection:
        connection.head(
            "POST", LOGIN, JSON, f"Content-Length: {LARGEST + 1}", "Expect: 100-continue"
        )
        assert_problem(connection.reply("POST"), 413, "payload_too_large")


def test_an_endless_body_is_refused_as_soon_as_it_is_too_large(service: Service) -> None:
    with wire(service.stack.port) as connection:
        connection.head("POST", LOGIN, JSON, "Transfer-Encoding: chunked")
        for _ in range(16):
            connection.chunk(b" " * 1024)
        connection.chunk(b" ")
        # The body goes on: its last chunk is never sent.
        assert_problem(connection.reply("POST"), 413, "payload_too_large")
        assert connection.closed()


def test_a_chunked_body_of_16_kib_is_read(service: Service) -> None:
    body = padded(LARGEST)
    with wire(service.stack.port) as connection:
        connection.head("POST", LOGIN, JSON, "Transfer-Encoding: chunked")
        for start in range(0, LARGEST, 1024):
            connection.chunk(body[start : start + 1024])
        connection.send(b"0\r\n\r\n")
        assert connection.reply("POST").status_code == 202


def test_a_small_content_length_does_not_admit_a_large_chunked_body(service: Service) -> None:
    with wire(service.stack.port) as connection:
        connection.head("POST", LOGIN, JSON, "Content-Length: 10", "Transfer-Encoding: chunked")
        connection.chunk(b" " * (LARGEST + 1))
        assert connection.reply("POST").status_code in (400, 413)


@pytest.mark.parametrize(
    "header",
    [
        "Content-Length: -1",
        "Content-Length: +36",
        "Content-Length: 0x24",
        f"Content-Length: {'9' * 5000}",
        "Content-Length: 36\r\nContent-Length: 37",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: gzip, chunked",
    ],
)
def test_a_body_with_an_invalid_length_is_refused(service: Service, header: str) -> None:
    with wire(service.stack.port) as connection:
        connection.head("POST", LOGIN, JSON, header, body=padded(40))
        assert 400 <= connection.reply("POST").status_code < 502
        assert connection.closed()
    assert service.keys() == set()


def test_a_client_that_disconnects_mid_body_is_not_logged_as_a_bug(service: Service) -> None:
    said_before = len(service.api.output())
    with wire(service.stack.port) as connection:
        connection.head("POST", LOGIN, JSON, "Content-Length: 40")
        connection.send(b'{"username"')
    left = 'fittrack_http_requests_total{method="POST",route="/api/garmin/login",status="499"}'
    eventually(lambda: left in service.client.get("/metrics").text)
    assert "bug" not in service.api.output()[said_before:]
    assert service.keys() == set()
