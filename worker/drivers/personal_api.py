"""Garmin's official Personal API: a key that the person has made is exchanged for an access token.

The exchange is one POST, whose answer is the bare JWT as text. It is good for 24 hours, or until
the key ends if that is sooner; there is no refresh token. Garmin's own package is not used: it
writes each access token into a file.
"""

from datetime import UTC, datetime, timedelta

import requests
from pydantic import AwareDatetime, BaseModel, SecretStr

from shared.errors import DriverFailedError, GarminUnavailableError, TokensRejectedError
from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminDomain,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from worker.drivers import stored
from worker.drivers.answers import Answer, display_name
from worker.drivers.driver import Permit, SignInPermit
from worker.drivers.http import GarminAdapter
from worker.drivers.profile import is_clear_401, read_document
from worker.drivers.stored import TokenText, read

DRIVER = "personal_api"

_EXCHANGE = "/personalapitoken-service/personal-api/personal-api-key/token"
_SETTINGS = "/userprofile-service/userprofile/settings"
_ACCESS_LIFETIME = timedelta(hours=24)
_TOLERANCE = timedelta(minutes=5)
_LONGEST_LIFE = timedelta(days=365)


class PersonalKey(BaseModel):
    """What is stored of a key. `ends_by`: it can't be good for longer, whenever it was made."""

    personal_api_key: TokenText
    ends_by: AwareDatetime | None = None


class ExchangedKey(PersonalKey):
    """A key, and the access token that it was exchanged for."""

    access_token: TokenText
    expires_at: AwareDatetime

    def packed(self, domain: GarminDomain, refresh_expires_at: datetime) -> GarminTokens:
        return GarminTokens(
            driver=DRIVER,
            domain=domain,
            data=SecretStr(self.model_dump_json()),
            access_expires_at=self.expires_at,
            refresh_expires_at=refresh_expires_at,
        )


class _AccessToken(BaseModel):
    access_token: TokenText


class PersonalApiDriver:
    """Refreshes only: nobody signs in with a key. The key is what is renewed from."""

    name = DRIVER

    def __init__(self, adapter: GarminAdapter) -> None:
        self._adapter = adapter

    def sign_in(self, credentials: Credentials, permit: SignInPermit) -> SignedIn | CodeRequired:  # noqa: ARG002, RUF100 - the interface
        raise DriverFailedError

    def finish(self, pending: PendingSignIn, code: str, permit: Permit) -> SignedIn:  # noqa: ARG002, RUF100 - the interface
        raise DriverFailedError

    def resend(self, pending: PendingSignIn, permit: Permit) -> PendingSignIn:
        raise GarminUnavailableError  # nobody signs in with a key

    def identify(self, tokens: GarminTokens, permit: Permit) -> GarminIdentity:
        """Read the display name from Garmin; the GUID is the access token's, if it names one."""
        access_token = read(_AccessToken, tokens).access_token
        route = self._adapter.route(self.name, permit)
        with self._adapter.session(route) as session, route.describing():
            url = f"{_host(tokens.domain)}{_SETTINGS}"
            name = display_name(read_document(session, url, access_token))
        claimed = stored.claimed_identity(access_token)
        if claimed:
            return claimed.model_copy(update={"garmin_display_name": name})
        if name is None:
            raise GarminUnavailableError
        return GarminIdentity.of_name(name)

    def claimed_identity(self, tokens: GarminTokens) -> GarminIdentity | None:
        return stored.claimed_identity(read(_AccessToken, tokens).access_token)

    def refresh(self, tokens: GarminTokens, permit: Permit) -> GarminTokens:
        """Exchange the key again, or for the first time.

        Raises TokensRejectedError if Garmin itself, with no page, says 401 or 403.
        """
        key = read(PersonalKey, tokens)
        route = self._adapter.route(self.name, permit)
        headers = {"Authorization": f"ApiKey {key.personal_api_key}", "Accept": "*/*"}
        url = f"{_host(tokens.domain)}{_EXCHANGE}"
        with self._adapter.session(route) as session, route.describing():
            try:
                response = session.post(url, headers=headers, allow_redirects=False)
            except requests.RequestException:
                raise GarminUnavailableError from None
            answer = Answer.of(response)
            if is_clear_401(response) or (answer.status == 403 and not _is_page(answer)):
                raise TokensRejectedError
            if answer.status != 200:
                raise answer.refusal() or GarminUnavailableError(answer.retry_after)
            return _exchanged(key, response.text.strip(), tokens.domain)


def _exchanged(key: PersonalKey, token: str, domain: GarminDomain) -> GarminTokens:
    """Raise GarminUnavailableError if this is no JWT that says when it expires."""
    expires_at = stored.expiry(token)
    if expires_at is None or not stored.is_token(token):
        raise GarminUnavailableError
    ends_by = key.ends_by or datetime.now(UTC) + _LONGEST_LIFE
    exchanged = ExchangedKey(
        personal_api_key=key.personal_api_key,
        ends_by=ends_by,
        access_token=token,
        expires_at=expires_at,
    )
    refresh_expires_at = expires_at if _ends_with_key(token) else max(ends_by, expires_at)
    return exchanged.packed(domain, refresh_expires_at)


def _ends_with_key(token: str) -> bool:
    """Whether an access token is good for less than a day, which means that its key ends then."""
    issued_at, expires_at = stored.issue(token), stored.expiry(token)
    if issued_at is None or expires_at is None:
        return False
    return expires_at - issued_at < _ACCESS_LIFETIME - _TOLERANCE


def _host(domain: GarminDomain) -> str:
    return f"https://personal.connectapi.{domain}"


def _is_page(answer: Answer) -> bool:
    return answer.is_html or answer.is_cloudflare
