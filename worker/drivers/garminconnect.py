"""Sign in with garminconnect 0.3: curl_cffi with a browser's TLS, then DI tokens."""

import json

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
from worker.drivers.garminconnect_guard import GuardedClient
from worker.drivers.garminconnect_session import Stop
from worker.drivers.http import GarminAdapter
from worker.drivers.profile import read_profile
from worker.drivers.stored import claimed_identity, read


class GarminConnectDriver:
    name = di.DRIVER

    def __init__(self, adapter: GarminAdapter, timings: Timings = PRODUCTION) -> None:
        self._adapter = adapter
        self._delays = timings.garminconnect_delays

    def sign_in(self, credentials: Credentials, permit: SignInPermit) -> SignedIn | CodeRequired:
        client = GuardedClient(str(credentials.domain), permit, self._delays)
        state = client.sign_in(credentials, permit.post_password)
        if isinstance(state, di.DiTokens):
            return SignedIn(tokens=state.packed(credentials.domain))
        kind = mfa_type(state["method"])
        pending = PendingSignIn(
            driver=self.name,
            domain=credentials.domain,
            mfa_type=kind,
            mfa_destination=client.code_page.mfa_destination(kind) if client.code_page else None,
            state=json.dumps(state),
        )
        return CodeRequired(pending=pending)

    def finish(self, pending: PendingSignIn, code: str, permit: Permit) -> SignedIn:
        client = GuardedClient(str(pending.domain), permit)
        tokens = client.finish(json.loads(pending.state.get_secret_value()), code)
        return SignedIn(tokens=tokens.packed(pending.domain))

    def identify(self, tokens: GarminTokens, permit: Permit) -> GarminIdentity:
        access_token = read(di.AccessToken, tokens).di_token
        with self._adapter.session(permit) as session:
            session.headers.update(di.NATIVE_HEADERS)
            return read_profile(session, tokens.domain, access_token)

    def claimed_identity(self, tokens: GarminTokens) -> GarminIdentity | None:
        return claimed_identity(read(di.AccessToken, tokens).di_token)

    def refresh(self, tokens: GarminTokens, permit: Permit) -> GarminTokens:
        try:
            return di.refresh(GuardedClient(str(tokens.domain), permit).post_form, tokens)
        except Stop as stop:
            raise stop.verdict from None
