"""What Garmin's verdicts mean: the tables.

Names and titles are compared as words, `ACCOUNT_LOCKED` and `generalLoginAccountLocked` as
"account locked". In each table the first row whose words stand in an answer counts.
"""

from collections.abc import Mapping

from shared import errors

type Verdicts = tuple[tuple[str, type[errors.SignInError]], ...]

ON_THE_PERSON: Verdicts = (
    ("captcha", errors.CaptchaRequiredError),
    ("recaptcha", errors.CaptchaRequiredError),
    ("max limit", errors.CodeLimitReachedError),
    ("locked", errors.AccountLockedError),
    ("lock", errors.AccountLockedError),
    ("account disabled", errors.GarminActionRequiredError),
    ("permanent mfa required", errors.GarminActionRequiredError),
    ("renew password", errors.GarminActionRequiredError),
    ("unable to sign in", errors.GarminActionRequiredError),  # a child's account
    ("unable to login", errors.GarminActionRequiredError),
    ("update phone number", errors.GarminActionRequiredError),
    ("privacy policy", errors.GarminActionRequiredError),
    ("consent", errors.GarminActionRequiredError),
    ("reconsent", errors.GarminActionRequiredError),
)
"""After a password as after a code, in every flow."""

ON_THE_PASSWORD: Verdicts = (("invalid username", errors.InvalidCredentialsError),)
ON_THE_CODE: Verdicts = (
    ("limit", errors.MfaAttemptsExhaustedError),
    ("too many", errors.MfaAttemptsExhaustedError),
    ("expired", errors.SignInExpiredError),
    ("session", errors.SignInExpiredError),
)
CODE_STATUSES: Mapping[int, type[errors.SignInError]] = {
    401: errors.MfaCodeInvalidError,
    409: errors.SignInExpiredError,
}
"""What a code's answer means that has no type."""

AFTER_PASSWORD: Verdicts = (
    ("bad gateway", errors.GarminUnavailableError),
    ("service unavailable", errors.GarminUnavailableError),
    ("502", errors.GarminUnavailableError),
    ("503", errors.GarminUnavailableError),
    ("invalid", errors.InvalidCredentialsError),
    ("incorrect", errors.InvalidCredentialsError),
    ("account error", errors.InvalidCredentialsError),
    ("garmin authentication application", errors.InvalidCredentialsError),
)
"""The widget's pages, by their titles."""

AFTER_CODE: Verdicts = (
    ("invalid code", errors.MfaCodeInvalidError),
    ("expired", errors.SignInExpiredError),
    ("too many", errors.MfaAttemptsExhaustedError),
    ("mfa", errors.MfaCodeInvalidError),
    ("garmin authentication application", errors.MfaCodeInvalidError),
)
"""The widget's pages, by their titles and the errors they show."""


def first_match(table: Verdicts, words: str) -> type[errors.SignInError] | None:
    """Look the words up that `markup.words` wrote."""
    return next((verdict for row, verdict in table if f" {row} " in words), None)
