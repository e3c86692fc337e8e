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
from shared.redis.driver_cooldowns import DriverCooldowns
from worker.drivers.driver import GarminDriver


class DriverChain:
    """Raises what `GarminDriver` raises, but for ClientRefusedError.

    The next driver is tried only when Garmin refuses a client, never after a verdict on the
    person: a password is not tried twice.
    """

    def __init__(self, drivers: Sequence[GarminDriver], cooldowns: DriverCooldowns) -> None:
        self._drivers = {driver.name: driver for driver in drivers}
        self._cooldowns = cooldowns

    def sign_in(self, credentials: Credentials) -> SignedIn | CodeRequired:
        """Raise GarminRateLimitedError, with the shortest cooldown, if every driver is refused."""
        for name, driver in self._drivers.items():
            if self._cooldowns.remaining(name):
                continue
            try:
                result = driver.sign_in(credentials)
            except ClientRefusedError as refusal:
                self._cooldowns.start(name, refusal.retry_after)
            else:
                self._cooldowns.reset(name)
                return result
        raise GarminRateLimitedError(
            retry_after=max(1, self._cooldowns.shortest_remaining(self._drivers))
        )

    def finish(self, pending: PendingSignIn, code: str) -> SignedIn:
        """With the driver that began it: a half-done session can't change libraries."""
        try:
            return self._driver(pending.driver).finish(pending, code)
        except ClientRefusedError as refusal:
            self._cooldowns.start(pending.driver, refusal.retry_after)
            raise GarminRateLimitedError(self._cooldowns.remaining(pending.driver)) from None

    def identify(self, tokens: GarminTokens) -> GarminIdentity:
        return self._driver(tokens.driver).identify(tokens)

    def _driver(self, name: str) -> GarminDriver:
        """Raises InterruptedSignInError if the operator has taken the driver out meanwhile."""
        if name not in self._drivers:
            raise InterruptedSignInError
        return self._drivers[name]
