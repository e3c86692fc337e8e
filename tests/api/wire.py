"""Requests that an ordinary HTTP client would not send."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse

import httpx

from tests.api.service import PATIENCE


class Wire:
    """One connection, byte by byte."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def head(self, method: str, path: str, *headers: str, body: bytes = b"") -> None:
        """Send a head, and in one piece with it what follows of the body.

        A server that closes after the head would reset a connection on which more arrives, and
        its reply would be lost.
        """
        lines = [f"{method} {path} HTTP/1.1", "Host: api.example", *headers, "", ""]
        self.send("\r\n".join(lines).encode("latin-1") + body)

    def chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def reply(self, method: str = "GET") -> httpx.Response:
        response = HTTPResponse(self._connection, method=method)
        response.begin()
        body = response.read()
        return httpx.Response(response.status, headers=response.getheaders(), content=body)

    def closed(self) -> bool:
        """Whether the server hangs up now."""
        try:
            return self._connection.recv(1) == b""
        except ConnectionError:
            return True


@contextmanager
def wire(port: int) -> Iterator[Wire]:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        yield Wire(connection)


def send_json(port: int, path: str, body: bytes) -> httpx.Response:
    """Posts bytes that need not be JSON."""
    with wire(port) as connection:
        connection.head(
            "POST",
            path,
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        connection.send(body)
        return connection.reply("POST")
