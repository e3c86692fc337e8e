"""garth's way from a ticket to tokens: an OAuth1 token, and OAuth2 tokens in exchange for that."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from pydantic import BaseModel, SecretStr

from shared.errors import (
    GarminUnavailableError,
    SignInError,
    TicketRefusedError,
    TokensRejectedError,
)
from shared.garmin.types import GarminDomain, GarminTokens, OAuthConsumer
from shared.timings import Timings
from worker.drivers.answers import Answer
from worker.drivers.consumer import ConsumerSource
from worker.drivers.driver import Permit
from worker.drivers.garth_client import GarthClient, OAuth1Token, OAuth2Token, asdict, sso
from worker.drivers.profile import is_clear_401
from worker.drivers.stored import TokenText, read

DRIVER = "garth"
_OAUTH1_LIFETIME = timedelta(days=365)
_LONGEST_PAUSE = 10.0  # before the exchange is repeated
_MAY_PASS = {403, 427, 429}

type Judge = Callable[[requests.Response], SignInError]


class OAuth:
    """`consumers` is asked again when Garmin no longer knows the consumer that signed."""

    def __init__(self, consumers: ConsumerSource, timings: Timings) -> None:
        self._consumers = consumers
        self._timings = timings

    def redeem(self, ticket: str, client: GarthClient, permit: Permit) -> OAuth1Token:
        """Exchange a ticket for an OAuth1 token.

        Raises TicketRefusedError if Garmin refused it unspent, DriverFailedError without a
        consumer, GarminUnavailableError.
        """
        with _errors(_ticket_error):
            return self._signed(lambda: sso.get_oauth1_token(ticket, client), permit)

    def first_exchange(
        self, oauth1: OAuth1Token, client: GarthClient, permit: Permit
    ) -> OAuth2Token:
        """Complete a sign-in: the ticket is spent, so a refusal is waited for while time is left.

        Raises TicketRefusedError: the OAuth1 token is good, but nothing can be read with it, not
        even whose it is, so that there is nothing to store.
        """
        with _errors(_ticket_error):
            for pause in (4 * self._timings.garmin_retry, 8 * self._timings.garmin_retry):
                try:
                    return self._signed(lambda: sso.exchange(oauth1, client, login=True), permit)
                except requests.HTTPError as error:
                    time.sleep(_useful_pause(error, pause, permit.check()))
            return self._signed(lambda: sso.exchange(oauth1, client, login=True), permit)

    def exchange(self, oauth1: OAuth1Token, client: GarthClient, permit: Permit) -> OAuth2Token:
        """Renew an OAuth2 token.

        Raises TokensRejectedError, ClientRefusedError, DriverFailedError, GarminUnavailableError.
        """
        with _errors(_exchange_error):
            return self._signed(lambda: sso.exchange(oauth1, client), permit)

    def _signed[T](self, call: Callable[[], T], permit: Permit) -> T:
        consumer = self._consumers.get(permit)
        try:
            return _with_consumer(consumer, call)
        except requests.HTTPError as error:
            if error.response.status_code != 401:
                raise
            other = self._consumers.replace(consumer, permit)
            if other is None:
                raise
        return _with_consumer(other, call)


class _OAuth1(BaseModel):
    oauth_token: TokenText
    oauth_token_secret: TokenText
    mfa_token: TokenText | None = None
    mfa_expiration_timestamp: datetime | None = None


class _WithOAuth1(BaseModel):
    oauth1: _OAuth1


class _OAuth2(BaseModel):
    access_token: TokenText


class _WithOAuth2(BaseModel):
    oauth2: _OAuth2


def pack(oauth1: OAuth1Token, oauth2: OAuth2Token, domain: GarminDomain) -> GarminTokens:
    """Raise GarminUnavailableError if an answer of Garmin made no sense."""
    try:
        return GarminTokens(
            driver=DRIVER,
            domain=domain,
            data=SecretStr(json.dumps({"oauth1": _asdict(oauth1), "oauth2": _asdict(oauth2)})),
            access_expires_at=datetime.fromtimestamp(oauth2.expires_at, UTC),
            refresh_expires_at=_refresh_expiry(oauth1),
        )
    except (ValueError, OverflowError, OSError):
        raise GarminUnavailableError from None


def stored_oauth1(tokens: GarminTokens) -> OAuth1Token:
    """Raise TokensRejectedError if there is none."""
    oauth1 = read(_WithOAuth1, tokens).oauth1
    return OAuth1Token(**oauth1.model_dump(), domain=str(tokens.domain))


def stored_access_token(tokens: GarminTokens) -> str:
    """Raise TokensRejectedError if there is none."""
    return read(_WithOAuth2, tokens).oauth2.access_token


def _asdict(token: OAuth1Token | OAuth2Token) -> Any:  # noqa: ANN401
    return asdict(token)  # type: ignore[no-untyped-call]


def _refresh_expiry(oauth1: OAuth1Token) -> datetime:
    """The OAuth1 token lives for about a year; Garmin names the day for accounts with a code."""
    named = oauth1.mfa_expiration_timestamp
    if named is None:
        return datetime.now(UTC) + _OAUTH1_LIFETIME
    return named.replace(tzinfo=UTC) if named.tzinfo is None else named.astimezone(UTC)


def _useful_pause(error: requests.HTTPError, shortest: float, left: float | None) -> float:
    """Return how long to wait after a refusal; raise it if there is no time, or no use."""
    retry_after = Answer.of(error.response).retry_after
    pause = max(shortest, retry_after or 0.0)
    is_patient = retry_after is not None or error.response.status_code in _MAY_PASS
    if not is_patient or pause > _LONGEST_PAUSE or (left is not None and pause > left / 4):
        raise error
    return pause


def _with_consumer[T](consumer: OAuthConsumer, call: Callable[[], T]) -> T:
    # garth reads it from here and from nowhere else. All threads set the same, but for the moment
    # in which Garmin has changed it.
    sso.OAUTH_CONSUMER = consumer.model_dump()
    return call()


@contextmanager
def _errors(judge: Judge) -> Iterator[None]:
    """Turn what garth and requests raise into our errors."""
    try:
        yield
    except requests.HTTPError as error:
        if error.response.status_code >= 500:
            raise GarminUnavailableError(Answer.of(error.response).retry_after) from None
        raise judge(error.response) from None
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError):
        raise GarminUnavailableError from None


def _ticket_error(response: requests.Response) -> SignInError:
    return TicketRefusedError(Answer.of(response).retry_after)


def _exchange_error(response: requests.Response) -> SignInError:
    if is_clear_401(response):
        return TokensRejectedError()
    answer = Answer.of(response)
    return answer.refusal() or GarminUnavailableError(answer.retry_after)
