"""An access token as programs with garminconnect or garth store it.

Such a file can't be renewed by the program: whoever wrote it replaces it in time.
"""

import base64
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType

from fittrack_auth_client.libraries import PLACEHOLDER, require_read_write
from fittrack_auth_client.models import Token


def _garminconnect(token: Token) -> str:
    """For `garmin_tokens.json`, or `GARMINTOKENS`."""
    return json.dumps({"di_token": token.access_token.reveal()})


def _garth(token: Token) -> str:
    """For `GARTH_TOKEN`, or a file that is read with garth's `loads()`."""
    oauth1 = {
        "oauth_token": PLACEHOLDER,
        "oauth_token_secret": PLACEHOLDER,
        "domain": token.domain,
    }
    expires_at = int(token.expires_at.timestamp())
    oauth2 = {
        "scope": "",
        "jti": "",
        "token_type": "Bearer",
        "access_token": token.access_token.reveal(),
        "refresh_token": PLACEHOLDER,
        "expires_in": token.expires_in,
        "expires_at": expires_at,
        "refresh_token_expires_in": token.expires_in,
        "refresh_token_expires_at": expires_at,
    }
    return base64.b64encode(json.dumps([oauth1, oauth2]).encode()).decode()


_FORMATS: Mapping[str, Callable[[Token], str]] = MappingProxyType(
    {"garminconnect": _garminconnect, "garth": _garth}
)


def token_file(token: Token, library: str) -> str:
    """Return the text of a file for `garminconnect` or `garth`.

    Raises UsageError for a token that the libraries can't use.
    """
    return _FORMATS[library](require_read_write(token))
