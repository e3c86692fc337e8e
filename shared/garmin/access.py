"""The part of stored tokens that apps get: Garmin's access token, and where it is good for.

The rest of a token's data is read by its driver alone. This much every process has to know that
hands tokens out, without a Garmin library.
"""

import json
from collections.abc import Mapping

from pydantic import SecretStr

from shared.errors import TokensRejectedError
from shared.garmin.types import GarminTokens

_PATHS: Mapping[str, tuple[str, ...]] = {
    "garth": ("oauth2", "access_token"),
    "garminconnect": ("di_token",),
    "personal_api": ("access_token",),
}
_HOSTS = {"personal_api": "personal.connectapi"}
_HOST = "connectapi"


def access_token(tokens: GarminTokens) -> SecretStr:
    """Raise TokensRejectedError if there is none in them."""
    try:
        value = json.loads(tokens.data.get_secret_value())
        for name in _PATHS[tokens.driver]:
            value = value[name]
    except (ValueError, LookupError, TypeError):
        raise TokensRejectedError from None
    if not isinstance(value, str):
        raise TokensRejectedError
    return SecretStr(value)


def api_base(tokens: GarminTokens) -> str:
    """Return the address of the API that the access token is for."""
    return f"https://{_HOSTS.get(tokens.driver, _HOST)}.{tokens.domain}"
