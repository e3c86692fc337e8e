"""A sign-in from start to end, codes included."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Protocol

from fittrack_auth_client.cli.errors import CancelledError, CliError
from fittrack_auth_client.client import FitTrackAuth
from fittrack_auth_client.errors import (
    FitTrackAuthError,
    InvalidRequestError,
    JobFailedError,
    UnauthorizedError,
)
from fittrack_auth_client.models import CodeRequired, SignedIn, SubmittedJob
from fittrack_auth_client.operations import LONGEST_JOB
from fittrack_auth_client.retries import Deadline
from fittrack_auth_client.secret import Secret

_CANCEL_SECONDS = 2.0
MOST_CODES = 20  # whatever the service says: a loop must end


@dataclass(frozen=True)
class Credentials:
    username: str
    password: Secret
    domain: str


@dataclass(frozen=True)
class CodeQuestion:
    """`problem` says why another code is asked for."""

    challenge: CodeRequired
    attempts_left: int | None
    deadline: Deadline
    problem: FitTrackAuthError | None = None


class Conversation(Protocol):
    """Shows how a sign-in goes, and asks for the code."""

    def stage(self, stage: str) -> None: ...

    def ask_code(self, question: CodeQuestion) -> Secret:
        """Raises CliError."""


def sign_in(auth: FitTrackAuth, conversation: Conversation, credentials: Credentials) -> SignedIn:
    """Raises FitTrackAuthError with the code of whatever ended it."""
    conversation.stage("submitting")
    try:
        login = auth.submit_sign_in(
            credentials.username, credentials.password, domain=credentials.domain
        )
        with _cancelled_by_the_person(auth, login):
            result = auth.wait(login, on_stage=conversation.stage)
            if isinstance(result, CodeRequired):
                result = _enter_codes(auth, conversation, result)
    except UnauthorizedError:  # there is no session yet that could be over
        raise CliError("client_key_needed") from None
    return result


@contextmanager
def _cancelled_by_the_person(auth: FitTrackAuth, login: SubmittedJob) -> Iterator[None]:
    """Cancel the sign-in, and a code that is on its way, where the person ends the block."""
    try:
        yield
    except (KeyboardInterrupt, CancelledError):
        with suppress(FitTrackAuthError):
            auth.cancel(login, timeout=_CANCEL_SECONDS)
        raise


def _enter_codes(
    auth: FitTrackAuth, conversation: Conversation, challenge: CodeRequired
) -> SignedIn:
    deadline = Deadline.after(min(challenge.expires_in, LONGEST_JOB))
    question = CodeQuestion(challenge, challenge.attempts_left, deadline)
    for _ in range(MOST_CODES):
        code = conversation.ask_code(question)
        conversation.stage("submitting")
        try:
            return auth.enter_code(challenge, code, on_stage=conversation.stage)
        except InvalidRequestError as error:  # mistyped: no attempt was used up
            question = replace(question, problem=error)
        except JobFailedError as error:
            if not error.may_try_again:
                raise
            question = replace(question, problem=error, attempts_left=error.attempts_left)
    raise CliError("mfa_attempts_exhausted")
