"""What drivers read from tokens: stored ones of any shape, and the claims of a JWT."""

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, StringConstraints, ValidationError

from shared.errors import TokensRejectedError
from shared.garmin.types import GarminIdentity, GarminTokens

_TOKEN_TEXT = re.compile(r"[!-~]+")
_LONGEST = 16_384
TokenText = Annotated[
    str, StringConstraints(pattern=rf"^{_TOKEN_TEXT.pattern}$", max_length=_LONGEST)
]
"""A text that can stand in a header. With the length in the pattern, pydantic would need 5 MB."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def read[T: BaseModel](model: type[T], tokens: GarminTokens) -> T:
    """Raise TokensRejectedError if there is nothing usable in them: only a sign-in helps."""
    try:
        return model.model_validate_json(tokens.data.get_secret_value())
    except ValidationError:
        raise TokensRejectedError from None


def claims(token: str) -> Mapping[str, Any]:
    """Read the claims of a JWT, unverified; empty if it is none."""
    try:
        payload = token.split(".")[1]
        value = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def expiry(token: str) -> datetime | None:
    """Return when a JWT expires, if it says so."""
    return _moment(token, "exp")


def issue(token: str) -> datetime | None:
    """Return when a JWT was issued, if it says so."""
    return _moment(token, "iat")


def is_token(text: str) -> bool:
    """Return whether a text can stand in a header."""
    return len(text) <= _LONGEST and _TOKEN_TEXT.fullmatch(text) is not None


def _moment(token: str, claim: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(claims(token)[claim], UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None


def claimed_identity(token: str) -> GarminIdentity | None:
    """Return whose a JWT is, if it says so.

    Nobody has verified the token: call this only for one that Garmin has just given.
    """
    guid = claims(token).get("garmin_guid")
    if not isinstance(guid, str) or not _UUID.fullmatch(guid):
        return None
    return GarminIdentity(guid=guid, display_name=None)
