"""What can be wrong with a connect session."""

from shared.errors import FitTrackError


class ConnectSessionNotFoundError(FitTrackError):
    """The session is unknown or another app's."""

    code = "connect_session_not_found"
    message = "This app has no such connect session, or it ended more than a day ago."


class ConnectSessionEndedError(FitTrackError):
    """The session has connected, was cancelled, or is too old."""

    code = "connect_session_ended"
    message = "This connect session has ended: create another one."
