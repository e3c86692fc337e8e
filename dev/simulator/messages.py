"""Requests and responses, and how a response is delivered."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlsplit


class Delivery(StrEnum):
    """How much of a response reaches the client, and how fast."""

    WHOLE = "whole"
    HANG = "hang"
    HANG_IN_BODY = "hang_body"
    DRIP = "drip"
    CUT = "cut"
    CUT_IN_BODY = "cut_body"


@dataclass(frozen=True)
class Request:
    """An HTTP request. `target` is as sent, as OAuth1 signs it; header names are lower case."""

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
        """The body as a JSON object; empty if it is anything else."""
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
    """An HTTP response; `headers` may repeat a name, as `Set-Cookie` does.

    on_delivered: called once the whole response was sent to a client that still listens.
    """

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    delivery: Delivery = Delivery.WHOLE
    on_delivered: Callable[[], None] | None = None


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
    """Make an empty response, for a delivery that sends none of it."""
    return Response(200, b"", (), delivery)


def _set_cookies(cookies: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple(("Set-Cookie", cookie) for cookie in cookies)
