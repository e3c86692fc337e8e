"""What the service asks of a Garmin library."""

from typing import Protocol

from shared.garmin.types import (
    CodeRequired,
    Credentials,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)


class GarminDriver(Protocol):
    """One Garmin library. Safe to use from many threads.

    Raises only the errors of `shared/errors.py`; nothing of the library gets out, because its
    messages hold URLs with tickets.
    """

    name: str

    def sign_in(self, credentials: Credentials) -> SignedIn | CodeRequired:
        """Sends the password to Garmin, once.

        Raises ClientRefusedError when Garmin refuses this client without a verdict on the person,
        else InvalidCredentialsError, AccountLockedError, CaptchaRequiredError,
        GarminUnavailableError.
        """

    def finish(self, pending: PendingSignIn, code: str) -> SignedIn:
        """Goes on where any process's `sign_in` stopped.

        Raises MfaCodeInvalidError, MfaAttemptsExhaustedError, SignInExpiredError,
        AccountLockedError, ClientRefusedError, GarminUnavailableError.
        """

    def identify(self, tokens: GarminTokens) -> GarminIdentity:
        """Asks Garmin whose tokens these are.

        Raises TokensRejectedError, GarminUnavailableError.
        """

    def refresh(self, tokens: GarminTokens) -> GarminTokens:
        """New tokens for the old ones, which may be dead afterwards.

        Raises TokensRejectedError, GarminRateLimitedError, GarminUnavailableError.
        """
