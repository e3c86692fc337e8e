"""The ways to sign in that one contract holds for: each library, and garminconnect's HTML flow."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from traceback import format_exception

import pytest
from pydantic import SecretStr

from dev.processes import ROOT
from dev.simulator import PASSWORD, Simulator
from shared.errors import MfaCodeInvalidError, SignInError
from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminDomain,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from worker.drivers.driver import GarminDriver
from worker.drivers.garminconnect import GarminConnectDriver
from worker.drivers.garth import GarthDriver
from worker.drivers.http import GarminAdapter

GARTH = "garth"
MOBILE = "garminconnect"
WIDGET = "garminconnect-widget"
WAYS = (GARTH, MOBILE, WIDGET)

_SENT_AWAY = {"GCM_IOS_DARK": {"status": 429, "at": ["page"]}}
"""What makes garminconnect take its widget flow: not even the page of the first one opens."""


@dataclass
class Way:
    """A driver against the simulated Garmin, and what it may never let out."""

    name: str
    garmin: Simulator
    adapter: GarminAdapter
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
        """Settings of the simulator, in the place of earlier faults and refusals.

        This way goes on being the one that is taken.
        """
        kept = _SENT_AWAY if self.name == WIDGET else {}
        self.garmin.configure(refuse={**kept, **(refuse or {})}, **{"faults": (), **changes})

    def sign_in(
        self, username: str, password: str = PASSWORD, domain: GarminDomain = GarminDomain.COM
    ) -> SignedIn | CodeRequired:
        self.secrets |= {username, password}
        credentials = Credentials(
            username=SecretStr(username), password=SecretStr(password), domain=domain
        )
        return self.driver.sign_in(credentials)

    def tokens(self, username: str, domain: GarminDomain = GarminDomain.COM) -> GarminTokens:
        """Of an account that needs no code."""
        signed_in = self.sign_in(username, domain=domain)
        assert isinstance(signed_in, SignedIn)
        return signed_in.tokens

    def pending(self, username: str) -> PendingSignIn:
        """Of an account that needs a code."""
        asked = self.sign_in(username)
        assert isinstance(asked, CodeRequired)
        return asked.pending

    def finish(self, pending: PendingSignIn, code: str) -> GarminTokens:
        self.secrets.add(code)
        return self.driver.finish(pending, code).tokens

    def who(self, tokens: GarminTokens) -> str:
        """The `garminGUID` of whose tokens these are."""
        return self.driver.identify(tokens).guid

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
        """The error, which is exactly of this kind and tells nothing it may not."""
        assert type(error) is kind
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None
        told = [str(error), repr(error), repr(error.args), *format_exception(error)]
        assert not [s for s in self.secrets if any(s in text for text in told)]
        return error

    def posts(self, username: str) -> int:
        """How often Garmin was sent this person's password."""
        return self.garmin.count("credential_posts", username)

    def code_checks(self, username: str) -> int:
        return self.garmin.count("codes_checked", username)


def driver(library: str, adapter: GarminAdapter) -> GarminDriver:
    return (
        GarthDriver(adapter) if library == GARTH else GarminConnectDriver(adapter, adapter.timings)
    )


def next_state(pending: PendingSignIn, error: MfaCodeInvalidError) -> PendingSignIn:
    """What the service keeps after a wrong code."""
    if error.state is None:
        return pending
    return pending.model_copy(update={"state": SecretStr(error.state)})


def finish_elsewhere(pending: PendingSignIn, code: str) -> GarminTokens:
    """`finish` in a process that has never seen the sign-in."""
    work = json.dumps({"pending": pending.reveal().decode(), "code": code})
    ended = subprocess.run(
        [sys.executable, "-m", "tests.worker.fresh_process"],
        cwd=ROOT,
        input=work,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return GarminTokens.from_revealed(ended.stdout.encode())
