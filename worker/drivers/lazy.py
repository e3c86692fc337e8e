"""A driver whose library is imported when it is first needed: each costs megabytes."""

import logging
import threading
from collections.abc import Callable

from shared.errors import ClientRefusedError, GarminUnavailableError
from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from shared.logs.locations import where
from worker.drivers.driver import GarminDriver, Permit

_log = logging.getLogger(__name__)


class LazyDriver:
    """Load a driver once, whichever thread needs it first. One that can't be loaded is refused."""

    def __init__(self, name: str, load: Callable[[], GarminDriver]) -> None:
        self.name = name
        self._load = load
        self._lock = threading.Lock()
        self._driver: GarminDriver | None = None

    def loaded(self) -> GarminDriver:
        """Raise ClientRefusedError if the library can't be loaded; the next call tries again."""
        with self._lock:
            if self._driver is None:
                try:
                    self._driver = self._load()
                except Exception as error:
                    _log.error("driver %s can't be loaded: %s", self.name, where(error))  # noqa: TRY400, RUF100
                    raise ClientRefusedError from None
            return self._driver

    def sign_in(self, credentials: Credentials, permit: Permit) -> SignedIn | CodeRequired:
        return self.loaded().sign_in(credentials, permit)

    def finish(self, pending: PendingSignIn, code: str, permit: Permit) -> SignedIn:
        return self.loaded().finish(pending, code, permit)

    def identify(self, tokens: GarminTokens, permit: Permit) -> GarminIdentity:
        try:
            driver = self.loaded()
        except ClientRefusedError:
            raise GarminUnavailableError from None
        return driver.identify(tokens, permit)

    def claimed_identity(self, tokens: GarminTokens) -> GarminIdentity | None:
        return self.loaded().claimed_identity(tokens)

    def refresh(self, tokens: GarminTokens, permit: Permit) -> GarminTokens:
        return self.loaded().refresh(tokens, permit)
