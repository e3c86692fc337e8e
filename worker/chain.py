"""The drivers in their order, without those that rest for an account or for everybody."""

import logging
from collections.abc import Sequence
from contextlib import suppress

from shared.errors import (
    ClientRefusedError,
    DriverFailedError,
    FitTrackError,
    GarminRateLimitedError,
    GarminUnavailableError,
    GarminUnreachableError,
    InterruptedSignInError,
    ServiceUnavailableError,
    SignInAgainError,
    TicketRefusedError,
)
from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from shared.logs.locations import where
from shared.redis.driver_cooldowns import DriverCooldowns, DriverRestsError, Turn
from shared.redis.password_posts import PasswordPosts
from worker.drivers.driver import GarminDriver, Permit
from worker.password_budget import DriverPermit, PasswordBudget
from worker.turns import reported

_log = logging.getLogger(__name__)


class DriverChain:
    """Raises what `GarminDriver` raises, but for ClientRefusedError and DriverFailedError.

    The next driver is tried when Garmin refuses a client, or when a driver can't get as far as
    posting the password; never after a verdict on the person, nor after a refusal that is final.
    """

    def __init__(
        self, drivers: Sequence[GarminDriver], cooldowns: DriverCooldowns, posts: PasswordPosts
    ) -> None:
        self._drivers = {driver.name: driver for driver in drivers}
        self._cooldowns = cooldowns
        self._posts = posts

    def sign_in(
        self, credentials: Credentials, permit: Permit, job_id: str, account: str | None
    ) -> SignedIn | CodeRequired:
        """Raise GarminRateLimitedError, with the shortest wait, if no driver is left.

        `account` is the keyed hash of the account. Raises GarminUnavailableError if no driver
        works, or one that does not rest got no usable answer.
        """
        budget = PasswordBudget(permit, self._posts, job_id)
        waits: list[int] = []
        unavailable: GarminUnavailableError | None = None
        for driver in self._drivers.values():
            try:
                return self._try(driver, credentials, budget.of(driver.name), account)
            except DriverFailedError:
                continue
            except GarminUnavailableError as error:
                if budget.sent or isinstance(error, GarminUnreachableError):
                    raise
                unavailable = unavailable or error
            except DriverRestsError as rest:
                waits.append(rest.retry_after)
            except ClientRefusedError as refusal:
                waits.append(refusal.retry_after or 0)
                if refusal.final and budget.sent:
                    break
            except ServiceUnavailableError:
                if not budget.sent:
                    raise
                break  # a later run would post the password again
        if waits and unavailable is None:
            raise GarminRateLimitedError(max(1, min(waits)))
        raise unavailable or GarminUnavailableError

    def finish(
        self, pending: PendingSignIn, code: str, permit: Permit, account: str | None
    ) -> SignedIn:
        """Finish with the driver that began: a half-done session can't change libraries."""
        turn = Turn(pending.driver, account)
        try:
            # What Garmin says to a code is no sign that it refuses other accounts.
            with reported(self._cooldowns, turn, counts=False):
                return self._driver(pending.driver).finish(pending, code, permit)
        except TicketRefusedError:
            raise self._sign_in_again(account) from None  # the code is used up
        except ClientRefusedError as refusal:
            raise GarminRateLimitedError(refusal.retry_after) from None

    def resend(self, pending: PendingSignIn, permit: Permit, account: str | None) -> PendingSignIn:
        """Have the code sent again by the driver that began."""
        turn = Turn(pending.driver, account)
        try:
            with reported(self._cooldowns, turn, counts=False):
                return self._driver(pending.driver).resend(pending, permit)
        except ClientRefusedError as refusal:
            raise GarminRateLimitedError(refusal.retry_after) from None

    def reject(self, driver: str, account: str | None) -> SignInAgainError:
        """Let a driver rest for an account whose tokens Garmin's API refuses; return the error."""
        with suppress(ServiceUnavailableError):
            self._cooldowns.refused(Turn(driver, account), ClientRefusedError(), counts=False)
        return self._sign_in_again(account)

    def identify(self, tokens: GarminTokens, permit: Permit) -> GarminIdentity:
        return self._driver(tokens.driver).identify(tokens, permit)

    def claimed_identity(self, tokens: GarminTokens) -> GarminIdentity | None:
        """Return whose tokens these are as they say themselves: tokens that Garmin just gave."""
        return self._driver(tokens.driver).claimed_identity(tokens)

    def _try(
        self,
        driver: GarminDriver,
        credentials: Credentials,
        permit: DriverPermit,
        account: str | None,
    ) -> SignedIn | CodeRequired:
        """Raise DriverFailedError, too, for what is unforeseen while the password was not sent."""
        with reported(self._cooldowns, self._cooldowns.enter(driver.name, account)):
            try:
                return driver.sign_in(credentials, permit)
            except DriverFailedError:
                if permit.has_posted:
                    raise GarminUnavailableError from None
                raise
            except FitTrackError:
                raise
            except Exception as error:
                if permit.has_posted:
                    raise
                _log.error("driver %s can't sign in: %s", driver.name, where(error))  # noqa: TRY400, RUF100
                raise DriverFailedError from None

    def _sign_in_again(self, account: str | None) -> SignInAgainError:
        wait = 0
        with suppress(ServiceUnavailableError):
            wait = self._cooldowns.shortest_remaining(self._drivers, account)
        return SignInAgainError(wait or None)

    def _driver(self, name: str) -> GarminDriver:
        """Raise InterruptedSignInError if the operator has removed the driver meanwhile."""
        if name not in self._drivers:
            raise InterruptedSignInError
        return self._drivers[name]
