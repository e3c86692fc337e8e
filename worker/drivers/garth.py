"""Sign in with garth 0.8: the mobile JSON flow, then OAuth1, then OAuth2.

Where OAuth1 gives nothing for a ticket, the ticket is redeemed for DI tokens instead. These belong
to the driver garminconnect from then on.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from shared.errors import (
    DriverFailedError,
    GarminUnavailableError,
    MfaCodeInvalidError,
    SignInAgainError,
    TicketRefusedError,
)
from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminDomain,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from worker.drivers import di, oauth
from worker.drivers.answers import Answer, HttpResponse, mfa_type
from worker.drivers.consumer import ConsumerSource, ConsumerStore
from worker.drivers.cookies import dump_cookies, load_cookies
from worker.drivers.driver import Permit, SignInPermit
from worker.drivers.garth_client import GarthClient, TicketIssuedError, sign_in_errors, sso
from worker.drivers.http import GarminAdapter
from worker.drivers.profile import read_profile
from worker.drivers.route import Route
from worker.drivers.stored import claimed_identity


class GarthDriver:
    """`redeem_at_di`: whether the driver that DI tokens belong to is in use as well."""

    name = oauth.DRIVER

    def __init__(
        self,
        adapter: GarminAdapter,
        store: ConsumerStore | None = None,
        *,
        redeem_at_di: bool = True,
    ) -> None:
        self._adapter = adapter
        self._consumers = ConsumerSource(adapter, store)
        self._oauth = oauth.OAuth(self._consumers, adapter.timings)
        self._redeem_at_di = redeem_at_di

    def sign_in(self, credentials: Credentials, permit: SignInPermit) -> SignedIn | CodeRequired:
        self._consumers.get(permit)  # before the password: without it, the next driver's turn
        route = self._adapter.route(self.name, permit)
        with route.describing():
            return self._sign_in(credentials, route, partial(permit.post_password, "mobile"))

    def _sign_in(
        self, credentials: Credentials, route: Route, before_password: Callable[[], None]
    ) -> SignedIn | CodeRequired:
        domain = credentials.domain
        client = self._client(domain, route)
        client.before_password = before_password
        try:
            with sign_in_errors():
                result = sso.login(
                    credentials.username.get_secret_value(),
                    credentials.password.get_secret_value(),
                    client=client,
                    prompt_mfa=None,
                    return_on_mfa=True,
                )
                if result[0] == "needs_mfa":
                    return CodeRequired(pending=_pending(client, domain, result[1]))
                raise GarminUnavailableError  # never: the ticket ends it
        except TicketIssuedError as issued:
            ticket = issued.ticket
        return self._redeem(ticket, domain, client, route)

    def finish(self, pending: PendingSignIn, code: str, permit: Permit) -> SignedIn:
        self._prepare_finish(permit)
        state = json.loads(pending.state.get_secret_value())
        route = self._adapter.route(self.name, permit)
        client = self._client(pending.domain, route)
        client.sess.cookies = load_cookies(state["cookies"])
        with route.describing():
            try:
                ticket = _ticket_for_code(client, state, code)
            except MfaCodeInvalidError:
                raise MfaCodeInvalidError(state=_state(client, state)) from None
            try:
                return self._redeem(ticket, pending.domain, client, route)
            except GarminUnavailableError:
                raise SignInAgainError from None  # the code is used up

    def resend(self, pending: PendingSignIn, permit: Permit) -> PendingSignIn:  # noqa: ARG002, RUF100
        raise GarminUnavailableError  # its flow has no such request

    def identify(self, tokens: GarminTokens, permit: Permit) -> GarminIdentity:
        access_token = oauth.stored_access_token(tokens)
        route = self._adapter.route(self.name, permit)
        with self._client(tokens.domain, route).sess as session, route.describing():
            return read_profile(session, tokens.domain, access_token)

    def claimed_identity(self, tokens: GarminTokens) -> GarminIdentity | None:
        return claimed_identity(oauth.stored_access_token(tokens))

    def refresh(self, tokens: GarminTokens, permit: Permit) -> GarminTokens:
        oauth1 = oauth.stored_oauth1(tokens)
        route = self._adapter.route(self.name, permit)
        with route.describing():
            oauth2 = self._oauth.exchange(oauth1, self._client(tokens.domain, route), route)
        return oauth.pack(oauth1, oauth2, tokens.domain)

    def _client(self, domain: GarminDomain, route: Route) -> GarthClient:
        return GarthClient(domain, self._adapter.session(route))

    def _prepare_finish(self, permit: Permit) -> None:
        """Fetch the consumer before the code is used up, unless its ticket may go to DI."""
        try:
            self._consumers.get(permit)
        except DriverFailedError:
            if not self._redeem_at_di:
                raise

    def _redeem(
        self, ticket: str, domain: GarminDomain, client: GarthClient, route: Route
    ) -> SignedIn:
        """Exchange the ticket for tokens. Raises TicketRefusedError and GarminUnavailableError."""
        try:
            with route.describing():
                oauth1 = self._oauth.redeem(ticket, client, route)
        except DriverFailedError:
            return self._redeem_elsewhere(ticket, domain, route, TicketRefusedError())
        except (TicketRefusedError, GarminUnavailableError) as failure:
            # Without an answer the ticket may be spent: asking costs nothing.
            return self._redeem_elsewhere(ticket, domain, route, failure)
        oauth2 = self._oauth.first_exchange(oauth1, client, route)
        return SignedIn(tokens=oauth.pack(oauth1, oauth2, domain))

    def _redeem_elsewhere(
        self,
        ticket: str,
        domain: GarminDomain,
        route: Route,
        failure: TicketRefusedError | GarminUnavailableError,
    ) -> SignedIn:
        """Redeem the ticket at DI. Raise `failure`, of OAuth1, if DI gives nothing either."""
        if self._redeem_at_di:
            service = f"https://mobile.integration.{domain}/gcm/android"  # the ticket's
            with suppress(TicketRefusedError, GarminUnavailableError):
                tokens = di.redeem(self._post(route), domain, ticket, service)
                return SignedIn(tokens=tokens.packed(domain), driver=self.name)
        raise failure

    def _post(self, route: Route) -> di.Post:
        def post(url: str, headers: dict[str, str], fields: dict[str, str]) -> HttpResponse:
            with self._adapter.session(route) as session:
                return session.post(url, fields, headers=headers, allow_redirects=False)

        return post


def _ticket_for_code(client: GarthClient, state: dict[str, Any], code: str) -> str:
    resumed = {name: state[name] for name in ("login_params", "mfa_method")} | {"client": client}
    try:
        with sign_in_errors():
            sso.resume_login(resumed, code)
    except TicketIssuedError as issued:
        return issued.ticket
    raise GarminUnavailableError


def _pending(client: GarthClient, domain: GarminDomain, result: dict[str, Any]) -> PendingSignIn:
    answer = Answer.of(client.last_resp)
    kind = mfa_type(answer.mfa_method())
    return PendingSignIn(
        driver=GarthDriver.name,
        domain=domain,
        mfa_type=kind,
        mfa_destination=answer.mfa_destination(kind),
        state=_state(client, result | {"mfa_method": answer.mfa_method()}),
    )


def _state(client: GarthClient, result: dict[str, Any]) -> str:
    """Dump what another process needs to go on: under a kilobyte of JSON."""
    return json.dumps(
        {
            "cookies": dump_cookies(client.sess.cookies),
            "login_params": result["login_params"],
            "mfa_method": result["mfa_method"],
        }
    )
