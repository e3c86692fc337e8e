"""Garmin's DI tokens: a ticket redeemed for them, and their renewal. Used by both drivers.

A ticket can be redeemed with any of the client ids, but only for the service that it was issued
for. The refresh token rotates: whoever loses the answer to a refresh has lost the tokens.
"""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, SecretStr, ValidationError

from shared.errors import (
    GarminUnavailableError,
    SignInError,
    TicketRefusedError,
    TokensRejectedError,
)
from shared.garmin.types import GarminDomain, GarminTokens
from worker.drivers.answers import Answer, HttpResponse
from worker.drivers.stored import TokenText, claims, expiry, read

DRIVER = "garminconnect"
"""The driver that the tokens belong to, whichever signed in."""

NATIVE_HEADERS: Mapping[str, str] = {
    "User-Agent": "GCM-Android-5.23",
    "X-Garmin-User-Agent": (
        "com.garmin.android.apps.connectmobile/5.23; ; Google/sdk_gphone64_arm64/google; "
        "Android/33; Dalvik/2.1.0"
    ),
    "X-Garmin-Paired-App-Version": "10861",
    "X-Garmin-Client-Platform": "Android",
    "X-App-Ver": "10861",
    "X-Lang": "en",
    "X-GCExperience": "GC5",
    "Accept-Language": "en-US,en;q=0.9",
}
"""Garmin's Android app, as garminconnect has it. The access tokens are for that app."""

_CLIENT_IDS = (
    "GARMIN_CONNECT_MOBILE_ANDROID_DI_2025Q2",
    "GARMIN_CONNECT_MOBILE_ANDROID_DI_2024Q4",
    "GARMIN_CONNECT_MOBILE_ANDROID_DI",
    "GARMIN_CONNECT_MOBILE_IOS_DI",
)
_TICKET_GRANT = "https://connectapi.garmin.com/di-oauth2-service/oauth/grant/service_ticket"
_REFRESH_LIFETIME = timedelta(days=30)  # 2591999 s, as the exchange says of its refresh tokens
_ACCESS_LIFETIME = timedelta(hours=1)  # where the token does not say; the shortest is 18 hours

type Post = Callable[[str, dict[str, str], dict[str, str]], HttpResponse]
"""Posts a form: URL, headers, fields. Raises our errors only."""


class DiTokens(BaseModel):
    """The names are garminconnect's, whose token files look the same."""

    di_token: TokenText
    di_refresh_token: TokenText
    di_client_id: TokenText

    def packed(self, domain: GarminDomain) -> GarminTokens:
        now = datetime.now(UTC)
        return GarminTokens(
            driver=DRIVER,
            domain=domain,
            data=SecretStr(self.model_dump_json()),
            access_expires_at=expiry(self.di_token) or now + _ACCESS_LIFETIME,
            refresh_expires_at=now + _REFRESH_LIFETIME,
        )


class AccessToken(BaseModel):
    """The part of stored tokens that a request to Garmin's API needs."""

    di_token: TokenText


def redeem(post: Post, domain: GarminDomain, ticket: str, service: str) -> DiTokens:
    """Exchange a ticket for tokens, with the first client id that Garmin accepts.

    Raises TicketRefusedError, and GarminUnavailableError if no answer has a meaning.
    """
    failure: SignInError = GarminUnavailableError()
    for client_id in _CLIENT_IDS:
        grant = {"grant_type": _TICKET_GRANT, "service_ticket": ticket, "service_url": service}
        answer = _post(post, domain, client_id, grant)
        if answer.status == 200 and answer.body is not None:
            return _tokens(answer, client_id)
        if answer.status == 429:
            raise TicketRefusedError(answer.retry_after)
        if 400 <= answer.status < 500:
            failure = TicketRefusedError(answer.retry_after)
    raise failure


def refresh(post: Post, tokens: GarminTokens) -> GarminTokens:
    """Renew tokens.

    Raises TokensRejectedError only for a JSON `invalid_grant`: no other answer says that the
    refresh token is dead. Raises ClientRefusedError and GarminUnavailableError else.
    """
    old = read(DiTokens, tokens)
    grant = {"grant_type": "refresh_token", "refresh_token": old.di_refresh_token}
    answer = _post(post, tokens.domain, old.di_client_id, grant)
    if answer.status == 200:
        return _tokens(answer, old.di_client_id, old.di_refresh_token).packed(tokens.domain)
    if answer.status in (400, 401) and (answer.body or {}).get("error") == "invalid_grant":
        raise TokensRejectedError
    raise answer.refusal() or GarminUnavailableError(answer.retry_after)


def _post(post: Post, domain: GarminDomain, client_id: str, grant: Mapping[str, str]) -> Answer:
    basic = base64.b64encode(f"{client_id}:".encode()).decode()
    headers = {
        **NATIVE_HEADERS,
        "Authorization": f"Basic {basic}",
        "Accept": "application/json,text/html;q=0.9,*/*;q=0.8",
        "Content-Type": "application/x-www-form-urlencoded",
        "Cache-Control": "no-cache",
    }
    url = f"https://diauth.{domain}/di-oauth2-service/oauth/token"
    return Answer.of(post(url, headers, {"client_id": client_id, **grant}))


def _tokens(answer: Answer, client_id: str, old_refresh_token: str | None = None) -> DiTokens:
    body = answer.body or {}
    access = body.get("access_token")
    named = claims(access).get("client_id") if isinstance(access, str) else None
    try:
        return DiTokens.model_validate(
            {
                "di_token": access,
                "di_refresh_token": body.get("refresh_token", old_refresh_token),
                "di_client_id": named or client_id,
            }
        )
    except ValidationError:
        raise GarminUnavailableError from None
