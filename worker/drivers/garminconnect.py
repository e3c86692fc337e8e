"""Sign in with garminconnect 0.3: curl_cffi with a browser's TLS, then DI tokens."""

import json

from pydantic import SecretStr

from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from shared.timings import PRODUCTION, Timings
from worker.drivers import di
from worker.drivers.answers import mfa_type
from worker.drivers.driver import Permit, SignInPermit
from worker.drivers.garminconnect_guard import RESEND, GuardedClient
from worker.drivers.http import GarminAdapter
from worker.drivers.profile import read_profile
from worker.drivers.stored import claimed_identity, read


class GarminConnectDriver:
    name = di.DRIVER

    def __init__(self, adapter: GarminAdapter, timings: Timings = PRODUCTION) -> None:
        self._adapter = adapter
        self._delays = timings.garminconnect_delays

    def sign_in(self, credentials: Credentials, permit: SignInPermit) -> SignedIn | CodeRequired:
        route = self._adapter.route(self.name, permit)
        client = GuardedClient(str(credentials.domain), route, self._delays)
        with route.describing():
            state = client.sign_in(credentials, permit.post_password)
        if isinstance(state, di.DiTokens):
            return SignedIn(tokens=state.packed(credentials.domain))
        kind, page = mfa_type(state["method"]), client.code_page
        pending = PendingSignIn(
            driver=self.name,
            domain=credentials.domain,
            mfa_type=kind,
            mfa_destination=page.mfa_destination(kind) if page else None,
            state=json.dumps(state),
            can_resend=RESEND in state,
        )
        return CodeRequired(pending=pending)

    def finish(self, pending: PendingSignIn, code: str, permit: Permit) -> SignedIn:
        route = self._adapter.route(self.name, permit)
        client = GuardedClient(str(pending.domain), route)
        with route.describing():
            tokens = client.finish(json.loads(pending.state.get_secret_value()), code)
        return SignedIn(tokens=tokens.packed(pending.domain))

    def resend(self, pending: PendingSignIn, permit: Permit) -> PendingSignIn:
        route = self._adapter.route(self.name, permit)
        client = GuardedClient(str(pending.domain), route)
        with route.describing():
            state = client.resend(json.loads(pending.state.get_secret_value()))
        return pending.model_copy(update={"state": SecretStr(json.dumps(state))})

    def identify(self, tokens: GarminTokens, permit: Permit) -> GarminIdentity:
        access_token = read(di.AccessToken, tokens).di_token
        route = self._adapter.route(self.name, permit)
        with self._adapter.session(route) as session, route.describing():
            session.headers.update(di.NATIVE_HEADERS)
            return read_profile(session, tokens.domain, access_token)

    def claimed_identity(self, tokens: GarminTokens) -> GarminIdentity | None:
        return claimed_identity(read(di.AccessToken, tokens).di_token)

    def refresh(self, tokens: GarminTokens, permit: Permit) -> GarminTokens:
        route = self._adapter.route(self.name, permit)
        with route.describing():
            return di.refresh(GuardedClient(str(tokens.domain), route).post_form, tokens)
