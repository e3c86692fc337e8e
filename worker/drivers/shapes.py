"""What an answer that nobody knows looks like, without what it says."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Protocol

from shared.errors import AnswerShape

_CONTENT_TYPES = {
    "application/json",
    "application/octet-stream",
    "application/problem+json",
    "application/x-www-form-urlencoded",
    "application/xml",
    "text/html",
    "text/plain",
    "text/xml",
}
_KEY = re.compile(r"[A-Za-z][A-Za-z_-]{0,31}")  # no digits: tickets and ids have them
_MOST_KEYS = 24
_TITLE = re.compile(r"<title>(.{0,200}?)</title>", re.IGNORECASE | re.DOTALL)
_TITLES = {
    "404 not found",
    "502 bad gateway",
    "503 service temporarily unavailable",
    "access denied",
    "attention required! | cloudflare",
    "enter mfa code for login",
    "error",
    "garmin authentication application",
    "just a moment...",
    "privacy policy update",
    "service unavailable",
    "sign in",
    "success",
    "unable to sign in",
    "update phone number",
}
"""Titles of Garmin's and Cloudflare's own pages: they name nobody."""


class HttpAnswer(Protocol):
    """What requests and curl_cffi have in common."""

    status_code: int

    @property
    def text(self) -> str: ...
    @property
    def content(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


def shape_of(step: str, response: HttpAnswer) -> AnswerShape:
    """Describe an answer for the log."""
    content_type = str(response.headers.get("content-type") or "").partition(";")[0].strip().lower()
    title = _TITLE.search(response.text)
    words = title.group(1).strip().lower() if title else ""
    return AnswerShape(
        step=step,
        status=response.status_code,
        content_type=content_type if content_type in _CONTENT_TYPES else "other",
        length=len(response.content),
        keys=tuple(islice(_keys(response.text), _MOST_KEYS)),
        title=words if words in _TITLES else "other" if title else "",
    )


def _keys(text: str) -> Iterator[str]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return
    for name, value in body.items() if isinstance(body, dict) else ():
        yield _shown(name)
        for inner in value if isinstance(value, dict) else ():
            yield f"{_shown(name)}.{_shown(inner)}"


def _shown(name: str) -> str:
    return name if _KEY.fullmatch(name) else "?"
