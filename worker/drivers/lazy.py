"""A driver whose library is imported when it is first needed: each costs megabytes."""

import logging
import threading
from collections.abc import Callable

from shared.errors import DriverFailedError, GarminUnavailableError
from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from shared.logs.locations import where
from worker.drivers.driver import GarminDriver, Permit, SignInPermit

_log = logging.getLogger(__name__)


class LazyDriver:
    """Load a driver once, whichever thread needs it first."""

    def __init__(self, name: str, load: Callable[[], GarminDriver]) -> None:
        self.name = name
        self._load = load
        self._lock = threading.Lock()
        self._driver: GarminDriver | None = None

    def loaded(self) -> GarminDriver:
        """Raise DriverFailedError if the library can't be loaded; the next call tries again."""
        with self._lock:
            if self._driver is None:
                try:
                    self._driver = self._load()
                except Exception as error:
                    _log.error("driver %s can't be loaded: %s", self.name, where(error))  # noqa: TRY400, RUF100
                    raise DriverFailedError from None
            return self._driver

    def sign_in(self, credentials: Credentials, permit: SignInPermit) -> SignedIn | CodeRequired:
        return self.loaded().sign_in(credentials, permit)

    def finish(self, pending: PendingSignIn, code: str, permit: Permit) -> SignedIn:
        return self._needed().finish(pending, code, permit)

    def resend(self, pending: PendingSignIn, permit: Permit) -> PendingSignIn:
        return self._needed().resend(pending, permit)

    def identify(self, tokens: GarminTokens, permit: Permit) -> GarminIdentity:
        return self._needed().identify(tokens, permit)

    def claimed_identity(self, tokens: GarminTokens) -> GarminIdentity | None:
        try:
            driver = self.loaded()
        except DriverFailedError:
            return None
        return driver.claimed_identity(tokens)

    def refresh(self, tokens: GarminTokens, permit: Permit) -> GarminTokens:
        return self._needed().refresh(tokens, permit)

    def _needed(self) -> GarminDriver:
        """Return the driver where no other can take its place. Raise GarminUnavailableError."""
        try:
            return self.loaded()
        except DriverFailedError:
            raise GarminUnavailableError from None
