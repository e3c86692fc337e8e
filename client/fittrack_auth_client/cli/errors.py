"""Why a command stops. The words for a person are in `messages.py`."""

from typing import Literal, TypeAlias

from fittrack_auth_client.errors import FitTrackAuthError

CliCode: TypeAlias = Literal[
    "bad_input",
    "cancelled",
    "client_key_needed",
    "code_not_in_time",
    "mfa_attempts_exhausted",
    "missing_input",
    "not_signed_in",
    "other_server",
    "others_left_open",
    "session_file",
]


class CliError(FitTrackAuthError):
    """An error that only the command line has, or sees before the service does."""

    def __init__(self, code: CliCode, message: str = "") -> None:
        super().__init__(message, code=code)


class CancelledError(CliError):
    """The person ended it: with Ctrl-C, or by ending the input at a question."""

    def __init__(self, message: str = "") -> None:
        super().__init__("cancelled", message)
