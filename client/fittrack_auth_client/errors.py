"""What this package raises: one root, one class for each error code that a caller may handle."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeVar

from fittrack_auth_client.fields import Fields, items, text
from fittrack_auth_client.models import JobFailed


class FitTrackAuthError(Exception):
    """The root of all errors of this package.

    `code` is stable. It is the service's (docs/api.md), or one of this package's own. `message` is
    for people and holds no secret. `retry_after` is in seconds, if it is known when to try again.
    """

    default_code: ClassVar[str] = ""

    def __init__(
        self, message: str = "", *, code: str = "", retry_after: int | None = None
    ) -> None:
        self.code = code or self.default_code
        self.message = message
        self.retry_after = retry_after
        super().__init__(f"{message} ({self.code})" if message else self.code)


class UsageError(FitTrackAuthError):
    """An argument, the environment or this connection can't be used: `bad_server`,
    `insecure_server`, `bad_environment`, `bad_input`, `extra_missing` or `read_only`. Nothing was
    sent to Garmin.
    """


class ServiceUnreachableError(FitTrackAuthError):
    """There was no answer. Nothing was sent, or sending it again changes nothing."""

    default_code = "service_unreachable"


class AnswerLostError(FitTrackAuthError):
    """A submission may have arrived; its answer did not, nor did that to any repetition."""

    default_code = "answer_lost"


class TlsError(FitTrackAuthError):
    """The service's certificate is not trusted."""

    default_code = "tls_failed"


class UnexpectedAnswerError(FitTrackAuthError):
    """The answer does not follow the contract: perhaps something else answers at this address."""

    default_code = "unexpected_answer"


class WebhookRejectedError(FitTrackAuthError):
    """A request is not a webhook that the service has signed with this secret just now."""

    default_code = "webhook_rejected"


class NoResultInTimeError(FitTrackAuthError):
    """The job had not ended, or the token was not refreshed, when the wait for it was over."""

    default_code = "no_result_in_time"


@dataclass(frozen=True)
class FieldError:
    """Where a request was wrong, and how."""

    loc: tuple[str, ...]
    message: str

    @classmethod
    def read(cls, data: object) -> "FieldError":
        fields = Fields(data)
        loc = fields.optional("loc", items(str)) or ()
        return cls(loc, fields.optional("message", text) or "")

    def __str__(self) -> str:
        return ": ".join(filter(None, (".".join(self.loc), self.message)))


class ApiError(FitTrackAuthError):
    """The service refused a request.

    `errors` says which fields were wrong (`invalid_request`), `unavailable` what does not answer
    (`service_unavailable`), `reason` and `since` why and since when only a sign-in helps
    (`sign_in_required`). `request_id` stands in the service's log.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int,
        code: str = "",
        retry_after: int | None = None,
        request_id: str | None = None,
        errors: tuple[FieldError, ...] = (),
        unavailable: tuple[str, ...] = (),
        reason: str | None = None,
        since: datetime | None = None,
    ) -> None:
        super().__init__(message, code=code, retry_after=retry_after)
        self.status = status
        self.request_id = request_id
        self.errors = errors
        self.unavailable = unavailable
        self.reason = reason
        self.since = since


class InvalidRequestError(ApiError):
    default_code = "invalid_request"


class IdempotencyKeyReusedError(ApiError):
    default_code = "idempotency_key_reused"


class UnauthorizedError(ApiError):
    """The access token or the client key is missing, unknown or expired."""

    default_code = "unauthorized"


class JobNotFoundError(ApiError):
    """The job is unknown or expired, or the poll token is not the one for it."""

    default_code = "job_not_found"


class ChallengeNotFoundError(ApiError):
    """The challenge is unknown, expired, finished, used up or another app's."""

    default_code = "challenge_not_found"


class LinkNotFoundError(ApiError):
    """This app has linked no Garmin account to this `user_id`."""

    default_code = "link_not_found"


class ConnectSessionNotFoundError(ApiError):
    """The connect session is unknown, another app's, or ended more than a day ago."""

    default_code = "connect_session_not_found"


class ResendNotPossibleError(ApiError):
    """Garmin can't send this code again; with `retry_after`, not yet."""

    default_code = "resend_not_possible"


class SignInRequiredError(ApiError):
    """Garmin no longer renews the connection: the person has to sign in.

    `reason` is `rejected`, `expired` or `key_revoked`.
    """

    default_code = "sign_in_required"


class ScopeMissingError(ApiError):
    """The operator has not granted this to the client key, or to any session."""

    default_code = "scope_missing"


class JobNotCancellableError(ApiError):
    """The job has ended, or its result is being stored."""

    default_code = "job_not_cancellable"


class ChallengeBusyError(ApiError):
    """Another code for the challenge is being checked."""

    default_code = "challenge_busy"


class SignInInProgressError(ApiError):
    """Another sign-in for the same account is running."""

    default_code = "sign_in_in_progress"


class RateLimitedError(ApiError):
    """The service's own limit was reached."""

    default_code = "rate_limited"


class ServiceUnavailableError(ApiError):
    """The service can't work for now; `unavailable` says what it waits for."""

    default_code = "service_unavailable"


class JobFailedError(FitTrackAuthError):
    """A sign-in or code failed.

    While `may_try_again` is true, another code may be entered for the same challenge.
    """

    def __init__(self, job: JobFailed) -> None:
        error = job.error
        super().__init__(error.message, code=error.code, retry_after=error.retry_after)
        self.job = job

    @property
    def attempts_left(self) -> int | None:
        return self.job.attempts_left

    @property
    def may_try_again(self) -> bool:
        return self.job.challenge_id is not None and self.attempts_left != 0


class InvalidCredentialsError(JobFailedError):
    """Garmin rejected the username or the password."""

    default_code = "invalid_credentials"


class CodeInvalidError(JobFailedError):
    """Garmin rejected the code."""

    default_code = "mfa_code_invalid"


class CodeAttemptsExhaustedError(JobFailedError):
    """Too many wrong codes: the challenge is gone."""

    default_code = "mfa_attempts_exhausted"


class AccountLockedError(JobFailedError):
    """Garmin has locked the account: the person has to act at Garmin."""

    default_code = "account_locked"


class CaptchaRequiredError(JobFailedError):
    """Garmin wants a captcha solved: the person has to sign in at Garmin once."""

    default_code = "captcha_required"


class GarminActionRequiredError(JobFailedError):
    """Garmin wants something finished in a browser first: consent, phone number, password."""

    default_code = "garmin_action_required"


class GarminRateLimitedError(JobFailedError):
    """Garmin refuses this service or account for now, or sends no new code.

    `may_try_again` is true if a code was not judged: the last one may still be entered.
    """

    default_code = "garmin_rate_limited"


class GarminUnavailableError(JobFailedError):
    """Garmin gave no usable answer."""

    default_code = "garmin_unavailable"


class GarminUnreachableError(JobFailedError):
    """The service could not reach Garmin."""

    default_code = "garmin_unreachable"


class TokensRejectedError(JobFailedError):
    """Garmin does not accept the tokens or the key: the person has to sign in, or to make a key."""

    default_code = "tokens_rejected"


class TokensUnreadableError(JobFailedError):
    """What was imported are no tokens in a known form; `message` names the nearest one."""

    default_code = "tokens_unreadable"


class TokensNotRenewableError(JobFailedError):
    """The imported tokens have no refresh token, or its time is over."""

    default_code = "tokens_not_renewable"


class WrongDomainError(JobFailedError):
    """The imported tokens are for another domain than the one that was named."""

    default_code = "wrong_domain"


class InterruptedSignInError(JobFailedError):
    """A worker was lost, or the person unlinked meanwhile: sign in again."""

    default_code = "interrupted"


class JobCancelledError(JobFailedError):
    """The job was cancelled with its poll token."""

    default_code = "cancelled"


class SignInRateLimitedError(JobFailedError):
    """The service's own limit was reached while the job waited for a worker."""

    default_code = "rate_limited"


class TimedOutError(JobFailedError):
    """A deadline passed, or the sign-in that waited for a code became too old."""

    default_code = "timed_out"


ErrorT = TypeVar("ErrorT", bound=FitTrackAuthError)


def error_class(root: type[ErrorT], code: str) -> type[ErrorT]:
    """The subclass of `root` for a code; `root` itself for one that has none."""
    return next((kind for kind in root.__subclasses__() if kind.default_code == code), root)


def job_failed(job: JobFailed) -> JobFailedError:
    return error_class(JobFailedError, job.error.code)(job)
