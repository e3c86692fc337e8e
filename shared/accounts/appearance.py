"""What people see of an app on the connect page, and which origins may open it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.errors import FitTrackError

_ACCENT = re.compile(r"#[0-9a-f]{6}")
_HOST = re.compile(r"[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\]")
_DEFAULT_PORTS = {"https": 443, "http": 80}
_MOST_ORIGINS = 20
_LONGEST_NAME = 64


class InvalidAppearanceError(FitTrackError):
    """A display name, an accent or an origin is not valid."""

    message = "The app's display name, accent or origins are not valid."


@dataclass(frozen=True)
class Appearance:
    """`display_name` and `accent` (`#rrggbb`) are None where the operator has set none."""

    display_name: str | None = None
    accent: str | None = None
    origins: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, display_name: str | None, accent: str | None, origins: Iterable[str]
    ) -> "Appearance":
        """Return the validated appearance. Raises InvalidAppearanceError."""
        return cls(_display_name(display_name), _accent(accent), _origins(origins))


PLAIN = Appearance()


def parse_origin(url: str) -> str:
    """Return an origin as browsers write it. Raises InvalidAppearanceError."""
    wrong = InvalidAppearanceError(
        f"{url!r} is not an origin: write https://HOST or https://HOST:PORT"
    )
    try:
        parts = urlsplit(url.strip().lower())
        port = parts.port
    except ValueError:
        raise wrong from None
    host = parts.netloc.removesuffix(f":{port}")
    if parts.scheme not in _DEFAULT_PORTS or not _HOST.fullmatch(host):
        raise wrong
    if parts.path not in ("", "/") or parts.query or parts.fragment or "?" in url or "#" in url:
        raise wrong
    shown = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{shown}"


def origin_of(url: str) -> str | None:
    """Return the origin of a URL as browsers write it, None if it has none."""
    try:
        parts = urlsplit(url)
        return parse_origin(f"{parts.scheme}://{parts.netloc}")
    except (ValueError, InvalidAppearanceError):
        return None


def _display_name(value: str | None) -> str | None:
    text = (value or "").strip()
    if len(text) > _LONGEST_NAME or not text.isprintable():
        raise InvalidAppearanceError(
            f"a display name is one line, of {_LONGEST_NAME} characters at most"
        )
    return text or None


def _accent(value: str | None) -> str | None:
    text = (value or "").strip().lower()
    if text and not _ACCENT.fullmatch(text):
        raise InvalidAppearanceError("an accent is a colour such as #0b62c4")
    return text or None


def _origins(values: Iterable[str]) -> tuple[str, ...]:
    origins = tuple(dict.fromkeys(parse_origin(value) for value in values))
    if len(origins) > _MOST_ORIGINS:
        raise InvalidAppearanceError(f"an app has at most {_MOST_ORIGINS} origins")
    return origins
