"""Read from Garmin's API, for all drivers, whose tokens these are."""

from collections.abc import Mapping
from typing import Any

import requests

from shared.errors import GarminUnavailableError, TokensRejectedError
from shared.garmin.types import GarminDomain, GarminIdentity
from worker.drivers.answers import Answer, identity

_PATH = "/userprofile-service/socialProfile"
_CLOUDFLARE_MARK = "cf-mitigated"


def read_profile(
    session: requests.Session, domain: GarminDomain, access_token: str
) -> GarminIdentity:
    """Raise what `read_document` raises, also for what is no profile."""
    return identity(read_document(session, f"https://connectapi.{domain}{_PATH}", access_token))


def read_document(
    session: requests.Session, url: str, access_token: str
) -> Mapping[str, Any] | None:
    """Return a JSON object of Garmin's API; None if the answer is something else.

    Raises TokensRejectedError only where Garmin itself says 401. 403, a page and Cloudflare's
    marks refuse the client and say nothing of the tokens: GarminUnavailableError.
    """
    headers = {"Authorization": f"Bearer {access_token}"}
    try:
        response = session.get(url, headers=headers, allow_redirects=False)
    except requests.RequestException:
        raise GarminUnavailableError from None
    answer = Answer.of(response)
    if is_clear_401(response):
        raise TokensRejectedError
    if answer.status != 200:
        raise GarminUnavailableError(answer.retry_after)
    return answer.body


def is_clear_401(response: requests.Response) -> bool:
    """Whether Garmin's own API, not something in front of it, calls the credentials invalid."""
    if response.status_code != 401 or _CLOUDFLARE_MARK in response.headers:
        return False
    return not Answer.of(response).is_html
