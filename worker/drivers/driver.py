"""The interface of a Garmin library."""

import time
from dataclasses import dataclass
from typing import Protocol

from shared.errors import GarminUnavailableError
from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)


class Permit(Protocol):
    """A job's right to go on. Drivers check it before each request to Garmin."""

    def check(self) -> float | None:
        """Return the seconds left, or None without a deadline.

        May wait until it is known whether the job can go on. Raises TimedOutError, JobLostError.
        """


@dataclass(frozen=True)
class Until:
    """A permit that also ends at a moment of `time.monotonic`, with GarminUnavailableError."""

    ends_at: float
    permit: Permit | None = None

    def check(self) -> float | None:
        outer = self.permit.check() if self.permit else None
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise GarminUnavailableError
        return left if outer is None else min(left, outer)


class SignInPermit(Permit, Protocol):
    """The permit of a sign-in, which also bounds how often the password is posted."""

    def post_password(self, way: str) -> None:
        """Call right before each POST of the password. `way` names the way in: each is used once.

        Raises PasswordSpentError, also where earlier workers have posted the password as often as
        allowed, and ServiceUnavailableError: then it must not be sent.
        """


class GarminDriver(Protocol):
    """One Garmin library. Safe to use from many threads.

    Raises only the errors of `shared/errors.py`; nothing of the library gets out, because its
    messages hold URLs with tickets. Every method also raises what its permit raises.
    """

    name: str

    def sign_in(self, credentials: Credentials, permit: SignInPermit) -> SignedIn | CodeRequired:
        """Post the password to Garmin, by each way in at most once.

        Raises DriverFailedError when the driver can't work and has not posted the password,
        ClientRefusedError when Garmin refuses this client without a verdict on the person, which
        as TicketRefusedError may come after the right password, else InvalidCredentialsError,
        AccountLockedError, CaptchaRequiredError, GarminActionRequiredError, CodeLimitReachedError,
        GarminUnavailableError, PasswordSpentError.

        The tokens may belong to another driver: `GarminTokens.driver` says which.
        """

    def finish(self, pending: PendingSignIn, code: str, permit: Permit) -> SignedIn:
        """Check the code and finish a sign-in that any process may have begun.

        Raises MfaCodeInvalidError, MfaAttemptsExhaustedError, SignInExpiredError,
        AccountLockedError, CaptchaRequiredError, GarminActionRequiredError, CodeLimitReachedError,
        ClientRefusedError, GarminUnavailableError; and after a right code, which can't be used
        again, TicketRefusedError and SignInAgainError.
        """

    def resend(self, pending: PendingSignIn, permit: Permit) -> PendingSignIn:
        """Have Garmin send the code again, for a sign-in that `can_resend`; return its new state.

        Raises SignInExpiredError, AccountLockedError, CaptchaRequiredError,
        GarminActionRequiredError, CodeLimitReachedError, ClientRefusedError,
        GarminUnavailableError, also where this driver can't.
        """

    def identify(self, tokens: GarminTokens, permit: Permit) -> GarminIdentity:
        """Read from Garmin whose tokens these are.

        Raises TokensRejectedError, GarminUnavailableError.
        """

    def claimed_identity(self, tokens: GarminTokens) -> GarminIdentity | None:
        """Return whose tokens these are as the access token itself says, without a name.

        Nobody verifies it: only for tokens that Garmin has just given. Raises TokensRejectedError.
        """

    def refresh(self, tokens: GarminTokens, permit: Permit) -> GarminTokens:
        """Renew tokens; the old ones may be dead afterwards.

        Raises TokensRejectedError, ClientRefusedError, GarminUnavailableError.
        """
