"""Clients of Garmin's unofficial libraries, signed in, with tokens of the service.

Their sessions put the token on each request, so none is kept in the libraries' own objects, which
they write to files and share between clients.
"""

import json
from typing import TYPE_CHECKING

import httpx

from fittrack_auth_client.errors import UsageError
from fittrack_auth_client.extras import extra
from fittrack_auth_client.garmin_auth import GetToken
from fittrack_auth_client.models import Token

if TYPE_CHECKING:
    import garminconnect
    import garth

PLACEHOLDER = "kept-by-fittrack-auth"
"""Stands where a library wants to see a secret that it doesn't get."""
_NEVER = 1 << 40
"""A time, in seconds since 1970, that garth does not live to see."""


def new_garminconnect(get_token: GetToken) -> "garminconnect.Garmin":
    """Return a `garminconnect.Garmin` that has read the person's profile.

    Raises UsageError, what `get_token` raises, and the library's own errors.
    """
    with extra("garminconnect"):
        import garminconnect

        from fittrack_auth_client.requests_auth import RequestsAuth
    domain = require_read_write(get_token()).domain
    garmin = garminconnect.Garmin(is_cn=domain == "garmin.cn")
    garmin.client._api_session.auth = RequestsAuth(get_token, _is_for_library)
    garmin.login(json.dumps({"di_token": PLACEHOLDER}))
    return garmin


def new_garth(get_token: GetToken) -> "garth.Client":
    """Return a `garth.Client`. Raises UsageError and what `get_token` raises."""
    with extra("garth"):
        import garth
        from garth.auth_tokens import OAuth1Token, OAuth2Token

        from fittrack_auth_client.requests_auth import RequestsAuth
    domain = require_read_write(get_token()).domain
    client = garth.Client()
    client.sess.auth = RequestsAuth(get_token, _is_for_library)
    client.configure(
        domain=domain,
        oauth1_token=OAuth1Token(PLACEHOLDER, PLACEHOLDER, domain=domain),
        oauth2_token=OAuth2Token(
            scope="",
            jti="",
            token_type="Bearer",  # noqa: S106 - no secret
            access_token=PLACEHOLDER,
            refresh_token=PLACEHOLDER,
            expires_in=_NEVER,
            expires_at=_NEVER,
            refresh_token_expires_in=_NEVER,
            refresh_token_expires_at=_NEVER,
        ),
    )
    return client


def require_read_write(token: Token) -> Token:
    """Return the token. Raises UsageError for one of the Personal API."""
    if token.access != "read_write":
        raise UsageError(
            f"garminconnect and garth can't use a connection by {token.method}, whose tokens are"
            f" for {token.api_base}",
            code="read_only",
        )
    return token


def _is_for_library(token: Token, url: str) -> bool:
    """Whether it is a host of Garmin's: the libraries use more than `api_base`."""
    there = httpx.URL(url)
    is_garmin = there.scheme == "https" and there.host.endswith(f".{token.domain}")
    return is_garmin and token.access == "read_write"
