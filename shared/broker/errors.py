"""Why there is no access token."""

from datetime import datetime

from shared.errors import FitTrackError, ServiceUnavailableError


class RefreshFailedError(ServiceUnavailableError):
    """Garmin does not renew these tokens for now."""

    message = "Garmin does not renew this token for now: try again later."

    def __init__(self, retry_after: int) -> None:
        super().__init__("garmin", retry_after)


class SignInRequiredError(FitTrackError):
    """Only a sign-in gives another token: `reason` says why, `since` when that began."""

    code = "sign_in_required"
    message = "Garmin no longer renews this connection: the person has to connect again."

    def __init__(self, reason: str, since: datetime) -> None:
        super().__init__(reason)
        self.reason = reason
        self.since = since
