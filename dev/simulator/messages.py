"""HTTP/1.1 as the simulator speaks it: one request in, one response out, connections kept alive."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import StrEnum
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

MAX_BODY = 1024 * 1024


class BadRequestError(Exception):
    """What arrived is not HTTP that the simulator reads."""


class Delivery(StrEnum):
    """How a response reaches the client, or does not."""

    WHOLE = "whole"
    HANG = "hang"
    HANG_IN_BODY = "hang_body"
    DRIP = "drip"
    CUT = "cut"
    CUT_IN_BODY = "cut_body"


@dataclass(frozen=True)
class Request:
    """One request. `target` is as sent, because OAuth1 signs it; header names are lower case."""

    method: str
    target: str
    host: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def domain(self) -> str:
        """`garmin.com` or `garmin.cn`."""
        return ".".join(self.host.rsplit(".", 2)[-2:])

    @property
    def subdomain(self) -> str:
        return self.host.removesuffix("." + self.domain)

    @property
    def url(self) -> str:
        return f"https://{self.host}{self.target}"

    @cached_property
    def path(self) -> str:
        return urlsplit(self.target).path

    @cached_property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @cached_property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    @cached_property
    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is anything else."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @cached_property
    def cookies(self) -> dict[str, str]:
        pairs = (pair.partition("=") for pair in self.headers.get("cookie", "").split(";"))
        return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}


@dataclass(frozen=True)
class Response:
    """One response; `headers` may repeat a name, as `Set-Cookie` does."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    delivery: Delivery = Delivery.WHOLE

    def head(self) -> bytes:
        """The status line and headers, up to and including the empty line."""
        lines = [f"HTTP/1.1 {self.status} {_reason(self.status)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [
            f"Date: {formatdate(usegmt=True)}",
            f"Content-Length: {len(self.body)}",
            "Connection: keep-alive",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def json_response(
    status: int, value: object, *headers: tuple[str, str], cookies: Iterable[str] = ()
) -> Response:
    return Response(
        status,
        json.dumps(value).encode(),
        (("Content-Type", "application/json"), *headers, *_set_cookies(cookies)),
    )


def html_response(
    status: int, page: str, *headers: tuple[str, str], cookies: Iterable[str] = ()
) -> Response:
    content_type = ("Content-Type", "text/html;charset=UTF-8")
    return Response(status, page.encode(), (content_type, *headers, *_set_cookies(cookies)))


def text_response(status: int, text: str) -> Response:
    return Response(status, text.encode(), (("Content-Type", "text/plain;charset=utf-8"),))


def redirect(location: str, *, cookies: Iterable[str] = ()) -> Response:
    return Response(302, b"", (("Location", location), *_set_cookies(cookies)))


def undelivered(delivery: Delivery) -> Response:
    """A response whose content never matters: the client does not get it."""
    return Response(200, b"", (), delivery)


async def read_request(
    reader: asyncio.StreamReader,
    host: str | None = None,
    *,
    acknowledge: Callable[[], None] = lambda: None,
) -> Request | None:
    """The next request of a connection, or None where the client has gone.

    `host` is what the client asked the proxy for; without it the Host header counts.
    `acknowledge` is called when the head has arrived.
    Raises BadRequestError.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        message = "request head too large"
        raise BadRequestError(message) from error
    acknowledge()
    start, *lines = head[:-4].decode("latin-1").split("\r\n")
    try:
        method, target, _version = start.split(" ")
    except ValueError as error:
        message = "not an HTTP request line"
        raise BadRequestError(message) from error
    headers = {name.strip().lower(): value.strip() for name, _, value in map(_partition, lines)}
    return Request(
        method, target, host or headers.get("host", ""), headers, await _body(reader, headers)
    )


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not length.isdecimal() or int(length) > MAX_BODY:
        message = "a body needs a Content-Length of at most 1 MiB"
        raise BadRequestError(message)
    try:
        return await reader.readexactly(int(length))
    except asyncio.IncompleteReadError as error:
        message = "the client stopped inside the body"
        raise BadRequestError(message) from error


def _partition(line: str) -> tuple[str, str, str]:
    return line.partition(":")


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _set_cookies(cookies: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple(("Set-Cookie", cookie) for cookie in cookies)
