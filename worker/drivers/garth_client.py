"""garth 0.8, stopped at the ticket, and with its traps disarmed.

The mutable default of `Client.request`'s headers (fresh ones on every call), the module-global
client (never used), errors whose text holds the ticket (read from the response, raised `from
None`), an adapter for each client (one for the process), settings and telemetry from the
environment (its `__init__` is not called).
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests

from shared.errors import GarminUnavailableError, PasswordSpentError, SignInError
from shared.garmin.types import GarminDomain
from shared.imports import absent, unused, without_init
from worker.drivers.pages import Page

_SOURCES = "pydantic_settings.sources.providers"

# logfire is garth's telemetry: 12 MB, and a leak of what it sees. garth works without it. Its
# `__init__` imports models of all that Garmin has to read, which is 3 MB; that of
# requests_oauthlib imports OAuth 2, which is 1 MB. pydantic_settings can also make command lines.
with (
    absent("logfire"),
    unused(*(f"{_SOURCES}.{name}" for name in ("aws", "azure", "cli", "gcp"))),
    without_init("requests_oauthlib", "oauth1_auth", "oauth1_session"),
    without_init("garth"),
):
    from garth import http, sso
    from garth.auth_tokens import OAuth1Token, OAuth2Token
    from garth.exc import GarthException, GarthHTTPError
    from garth.utils import asdict

__all__ = ["GarthClient", "OAuth1Token", "OAuth2Token", "TicketIssuedError", "asdict", "sso"]

_SIGN_IN_PATH = "/mobile/api/"
_PASSWORD_PATH = "/mobile/api/login"  # noqa: S105 - a path, no secret
_TICKET = re.compile(r"[\w.+/=-]{1,512}", re.ASCII)


class TicketIssuedError(Exception):
    """Garmin accepted password and code. Ends garth's sign-in: what follows is ours."""

    def __init__(self, ticket: str) -> None:
        super().__init__("ticket issued")
        self.ticket = ticket


class GarthClient(http.Client):
    def __init__(self, domain: GarminDomain, session: requests.Session) -> None:
        """Set what a request needs.

        The library's own sets up telemetry too, resumes a session that the environment names, and
        reads the environment's settings for both each time.
        """
        self.domain = str(domain)
        self.before_password: Callable[[], None] = _no_password
        self.sess = session
        self.sess.headers.update(http.USER_AGENT)

    def request(
        self,
        method: str,
        subdomain: str,
        path: str,
        /,
        api: bool = False,
        referrer: str | bool = False,
        headers: dict[str, str] | None = None,
        **kwargs: Any,  # noqa: ANN401 - the library's signature
    ) -> requests.Response:
        """Send with headers that no other call sees, and never redirect what holds a secret."""
        if path == _PASSWORD_PATH:
            self.before_password()
        kwargs.setdefault("allow_redirects", method == "GET")
        fresh = dict(headers or {})
        try:
            response = super().request(
                method, subdomain, path, api=api, referrer=referrer, headers=fresh, **kwargs
            )
        except requests.RequestException:
            raise GarminUnavailableError from None
        if path.startswith(_SIGN_IN_PATH):
            page = _page(response)
            if not page.accepted:
                raise page.error()
            if page.answer.ticket:
                raise TicketIssuedError(_checked(page.answer.ticket))
        return response


def _no_password() -> None:
    """Only a sign-in posts a password."""
    raise PasswordSpentError


def _page(response: requests.Response) -> Page:
    return Page.of(response.request.method or "", response.url, response)


def _checked(ticket: str) -> str:
    if not _TICKET.fullmatch(ticket):
        raise GarminUnavailableError
    return ticket


@contextmanager
def sign_in_errors() -> Iterator[None]:
    """Turn what garth raises into our errors."""
    try:
        yield
    except (SignInError, TicketIssuedError):
        raise
    except GarthHTTPError as error:
        raise _page(error.error.response).error() from None
    except (GarthException, OSError, ValueError, LookupError, TypeError, AttributeError):
        raise GarminUnavailableError from None
