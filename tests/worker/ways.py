"""The ways to sign in, which all keep one contract: each library, and garminconnect's HTML flow."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from traceback import format_exception

import pytest
from pydantic import SecretStr

from dev.processes import ROOT
from dev.simulator import PASSWORD, Simulator
from shared.errors import FitTrackError, MfaCodeInvalidError, SignInError
from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminDomain,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from worker.drivers.driver import GarminDriver, SignInPermit
from worker.drivers.garminconnect import GarminConnectDriver
from worker.drivers.garth import GarthDriver
from worker.drivers.http import GarminAdapter

GARTH = "garth"
MOBILE = "garminconnect"
WIDGET = "garminconnect-widget"
WAYS = (GARTH, MOBILE, WIDGET)

_SENT_AWAY = {"GCM_IOS_DARK": {"status": 429, "at": ["page"]}}
"""Makes garminconnect use its widget flow: the page of the first one is refused."""


@dataclass
class FixedPermit:
    """A job with so many seconds left, or one that may not go on."""

    left: float | None = None
    error: FitTrackError | None = None

    def check(self) -> float | None:
        if self.error:
            raise self.error
        return self.left

    def post_password(self, way: str) -> None:
        self.check()


ALWAYS = FixedPermit()


@dataclass
class Way:
    """A driver against the simulated Garmin, and the secrets it must not show."""

    name: str
    garmin: Simulator
    adapter: GarminAdapter
    permit: SignInPermit = field(default_factory=FixedPermit)
    secrets: set[str] = field(default_factory=lambda: {PASSWORD, "ST-"})

    def __post_init__(self) -> None:
        self.configure()

    @property
    def driver_name(self) -> str:
        return self.name.partition("-")[0]

    @property
    def driver(self) -> GarminDriver:
        return driver(self.driver_name, self.adapter)

    def configure(self, refuse: dict[str, object] | None = None, **changes: object) -> None:
        """Set up the simulator; earlier faults and refusals end. The flow stays this one."""
        kept = _SENT_AWAY if self.name == WIDGET else {}
        self.garmin.configure(refuse={**kept, **(refuse or {})}, **{"faults": (), **changes})

    def sign_in(
        self, username: str, password: str = PASSWORD, domain: GarminDomain = GarminDomain.COM
    ) -> SignedIn | CodeRequired:
        self.secrets |= {username, password}
        credentials = Credentials(
            username=SecretStr(username), password=SecretStr(password), domain=domain
        )
        return self.driver.sign_in(credentials, self.permit)

    def tokens(self, username: str, domain: GarminDomain = GarminDomain.COM) -> GarminTokens:
        """Sign in to an account that needs no code."""
        signed_in = self.sign_in(username, domain=domain)
        assert isinstance(signed_in, SignedIn)
        return signed_in.tokens

    def pending(self, username: str) -> PendingSignIn:
        """Begin a sign-in to an account that needs a code."""
        result = self.sign_in(username)
        assert isinstance(result, CodeRequired)
        return result.pending

    def finish(self, pending: PendingSignIn, code: str) -> GarminTokens:
        self.secrets.add(code)
        return self.driver.finish(pending, code, self.permit).tokens

    def resend(self, pending: PendingSignIn) -> PendingSignIn:
        return self.driver.resend(pending, self.permit)

    def identify(self, tokens: GarminTokens) -> GarminIdentity:
        return self.driver.identify(tokens, self.permit)

    def refresh(self, tokens: GarminTokens) -> GarminTokens:
        return self.driver.refresh(tokens, self.permit)

    def who(self, tokens: GarminTokens) -> str:
        """Return the `garminGUID` of the tokens' owner."""
        return self.identify(tokens).guid

    def guid(self, username: str, domain: str = "garmin.com") -> str:
        return str(self.garmin.account(username, domain)["profile"]["garminGUID"])

    def refused_sign_in[E: SignInError](self, username: str, kind: type[E]) -> E:
        with pytest.raises(kind) as caught:
            self.sign_in(username)
        return self.checked(caught.value, kind)

    def refused_code[E: SignInError](self, pending: PendingSignIn, code: str, kind: type[E]) -> E:
        with pytest.raises(kind) as caught:
            self.finish(pending, code)
        return self.checked(caught.value, kind)

    def checked[E: SignInError](self, error: SignInError, kind: type[E]) -> E:
        """Check that the error is exactly of this kind and shows no secret."""
        assert type(error) is kind
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None
        texts = [str(error), repr(error), repr(error.args), *format_exception(error)]
        assert not [s for s in self.secrets if any(s in text for text in texts)]
        return error

    def posts(self, username: str) -> int:
        """Return how often this person's password was sent to Garmin."""
        return self.garmin.count("credential_posts", username)

    def code_checks(self, username: str) -> int:
        return self.garmin.count("codes_checked", username)


def driver(library: str, adapter: GarminAdapter) -> GarminDriver:
    return (
        GarthDriver(adapter) if library == GARTH else GarminConnectDriver(adapter, adapter.timings)
    )


def next_state(pending: PendingSignIn, error: MfaCodeInvalidError) -> PendingSignIn:
    """Return what the service keeps after a wrong code."""
    if error.state is None:
        return pending
    return pending.model_copy(update={"state": SecretStr(error.state)})


class OtherProcess:
    """Finishes sign-ins that it has not begun."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.worker.fresh_process"],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def finish(self, pending: PendingSignIn, code: str) -> GarminTokens:
        assert self._process.stdin
        assert self._process.stdout
        work = json.dumps({"pending": pending.reveal().decode(), "code": code})
        self._process.stdin.write(work + "\n")
        self._process.stdin.flush()
        return GarminTokens.from_revealed(self._process.stdout.readline().encode())

    def stop(self) -> None:
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0
