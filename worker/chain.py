"""The drivers in their order, without those that Garmin refuses at the moment."""

from collections.abc import Sequence
from contextlib import suppress

from shared.errors import (
    ClientRefusedError,
    GarminRateLimitedError,
    InterruptedSignInError,
    ServiceUnavailableError,
)
from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from shared.redis.driver_cooldowns import DriverCooldowns
from worker.drivers.driver import GarminDriver, Permit


class DriverChain:
    """Raises what `GarminDriver` raises, but for ClientRefusedError.

    The next driver is tried only when Garmin refuses a client, never after a verdict on the
    person: a password is not tried twice.
    """

    def __init__(self, drivers: Sequence[GarminDriver], cooldowns: DriverCooldowns) -> None:
        self._drivers = {driver.name: driver for driver in drivers}
        self._cooldowns = cooldowns

    def sign_in(self, credentials: Credentials, permit: Permit) -> SignedIn | CodeRequired:
        """Raise GarminRateLimitedError, with the shortest cooldown, if every driver is refused."""
        for name, driver in self._drivers.items():
            if self._cooldowns.remaining(name):
                continue
            try:
                result = driver.sign_in(credentials, permit)
            except ClientRefusedError as refusal:
                self._cooldowns.start(name, refusal.retry_after)
            else:
                with suppress(ServiceUnavailableError):  # what Garmin has given counts more
                    self._cooldowns.reset(name)
                return result
        raise GarminRateLimitedError(
            retry_after=max(1, self._cooldowns.shortest_remaining(self._drivers))
        )

    def finish(self, pending: PendingSignIn, code: str, permit: Permit) -> SignedIn:
        """Finish with the driver that began: a half-done session can't change libraries."""
        try:
            return self._driver(pending.driver).finish(pending, code, permit)
        except ClientRefusedError as refusal:
            self._cooldowns.start(pending.driver, refusal.retry_after)
            raise GarminRateLimitedError(self._cooldowns.remaining(pending.driver)) from None

    def identify(self, tokens: GarminTokens, permit: Permit) -> GarminIdentity:
        return self._driver(tokens.driver).identify(tokens, permit)

    def _driver(self, name: str) -> GarminDriver:
        """Raise InterruptedSignInError if the operator has removed the driver meanwhile."""
        if name not in self._drivers:
            raise InterruptedSignInError
        return self._drivers[name]
