"""The drivers in their order, and which of them Garmin lets in at the moment."""

from collections.abc import Sequence

from shared.errors import ClientRefusedError, GarminRateLimitedError, InterruptedSignInError
from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from shared.redis.driver_cooldowns import DriverRests
from worker.drivers.driver import GarminDriver


class DriverChain:
    """Raises what `GarminDriver` raises, but for ClientRefusedError.

    The next driver is tried only when Garmin refuses a client, never after a verdict on the
    person: a password is not tried twice.
    """

    def __init__(self, drivers: Sequence[GarminDriver], rests: DriverRests) -> None:
        self._drivers = {driver.name: driver for driver in drivers}
        self._rests = rests

    def sign_in(self, credentials: Credentials) -> SignedIn | CodeRequired:
        """Raises GarminRateLimitedError, with the shortest rest, when every driver rests."""
        for name, driver in self._drivers.items():
            if self._rests.remaining(name):
                continue
            try:
                result = driver.sign_in(credentials)
            except ClientRefusedError as refusal:
                self._rests.refused(name, refusal.retry_after)
            else:
                self._rests.accepted(name)
                return result
        raise GarminRateLimitedError(retry_after=max(1, self._rests.shortest(self._drivers)))

    def finish(self, pending: PendingSignIn, code: str) -> SignedIn:
        """With the driver that began it: a half-done session can't change libraries."""
        try:
            return self._driver(pending.driver).finish(pending, code)
        except ClientRefusedError as refusal:
            self._rests.refused(pending.driver, refusal.retry_after)
            raise GarminRateLimitedError(self._rests.remaining(pending.driver)) from None

    def identify(self, tokens: GarminTokens) -> GarminIdentity:
        return self._driver(tokens.driver).identify(tokens)

    def _driver(self, name: str) -> GarminDriver:
        """Raises InterruptedSignInError if the operator has taken the driver out meanwhile."""
        if name not in self._drivers:
            raise InterruptedSignInError
        return self._drivers[name]
