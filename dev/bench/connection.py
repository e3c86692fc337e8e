"""A keep-alive HTTP connection that costs little: its client must not be what is measured."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes

    def json(self) -> Any:  # noqa: ANN401
        return json.loads(self.body)


class Connection(asyncio.Protocol):
    """One request at a time. Understands replies with a Content-Length, which all of ours have."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._waiting: asyncio.Future[Reply] | None = None
        self.closed = False

    @classmethod
    async def open(cls, port: int) -> Self:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, "127.0.0.1", port)
        return connection

    async def ask(self, request: bytes) -> Reply:
        """Raises ConnectionError if the other side hangs up."""
        if self._transport is None or self.closed:
            raise ConnectionError
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, rest = self._received.partition(_HEAD_END)
        if not separator or len(rest) < _length(head):
            return
        self._received = b""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(Reply(int(head[9:12]), rest))

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionError())


def request(
    method: str,
    path: str,
    *,
    token: str = "",
    body: object = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """A whole request, with a bearer token and a JSON body if given."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    payload = b"" if body is None else json.dumps(body).encode()
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if payload:
        lines += ["Content-Type: application/json", f"Content-Length: {len(payload)}"]
    return "\r\n".join(lines).encode() + _HEAD_END + payload


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
