"""A cookie jar as JSON, every cookie with every attribute, so that host-only stays host-only."""

from http.cookiejar import Cookie
from typing import Any

from requests.cookies import RequestsCookieJar

_ATTRIBUTES = (
    "version",
    "name",
    "value",
    "port",
    "port_specified",
    "domain",
    "domain_specified",
    "domain_initial_dot",
    "path",
    "path_specified",
    "secure",
    "expires",
    "discard",
    "comment",
    "comment_url",
    "rfc2109",
)


def dump_cookies(jar: RequestsCookieJar) -> list[dict[str, Any]]:
    """Return each cookie as a JSON object. They are the unfinished sign-in: encrypt them."""
    return [
        {name: getattr(cookie, name) for name in _ATTRIBUTES} | {"rest": cookie._rest}  # type: ignore[attr-defined]
        for cookie in jar
    ]


def load_cookies(cookies: list[dict[str, Any]]) -> RequestsCookieJar:
    """Rebuild the jar that `dump_cookies` wrote."""
    jar = RequestsCookieJar()
    for cookie in cookies:
        jar.set_cookie(Cookie(**cookie))
    return jar
