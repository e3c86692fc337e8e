"""Turn errors into RFC 9457 problems: one table, one shape."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.contract.problems import FieldFault, Problem, ProblemCode
from api.http.errors import (
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundError,
    NotJsonError,
    NotReadyError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)
from api.http.limits import rate_limit_headers
from shared import errors
from shared.accounts.states import StateReason
from shared.broker.errors import RefreshFailedError, SignInRequiredError
from shared.connect.errors import ConnectSessionEndedError, ConnectSessionNotFoundError
from shared.jobs.account_limit import TooManyCodesError, TooManyFailedSignInsError
from shared.jobs.cancellation import JobNotCancellableError
from shared.jobs.challenges import ResendNotPossibleError
from shared.logs.locations import where
from shared.redis.rate_limits import RateLimitedError

_log = logging.getLogger(__name__)


def _no_headers(_: errors.FitTrackError) -> Mapping[str, str]:
    return {}


# An error that has no `retry_after` where one is needed is a bug.
def _retry_after(error: Any) -> Mapping[str, str]:  # noqa: ANN401
    return {"Retry-After": str(error.retry_after)}


def _known_retry_after(error: Any) -> Mapping[str, str]:  # noqa: ANN401
    return {} if error.retry_after is None else _retry_after(error)


def _rate_limit(error: RateLimitedError) -> Mapping[str, str]:
    return {**_retry_after(error), **rate_limit_headers(error.standing)}


def _authenticate(scheme: str) -> Callable[[errors.FitTrackError], Mapping[str, str]]:
    return lambda _: {"WWW-Authenticate": scheme}


def _close(_: PayloadTooLargeError) -> Mapping[str, str]:
    return {"Connection": "close"}


@dataclass(frozen=True)
class Answer:
    """The status and the headers of an error's response."""

    status: int
    headers: Callable[[Any], Mapping[str, str]] = _no_headers


ANSWERS: dict[type[errors.FitTrackError], Answer] = {
    NotJsonError: Answer(400),
    errors.UnauthorizedError: Answer(401, _authenticate("Bearer")),
    errors.UnknownClientError: Answer(401, _authenticate("ClientKey")),
    errors.ScopeMissingError: Answer(403),
    NotFoundError: Answer(404),
    errors.JobNotFoundError: Answer(404),
    errors.ChallengeNotFoundError: Answer(404),
    errors.LinkNotFoundError: Answer(404),
    ConnectSessionNotFoundError: Answer(404),
    MethodNotAllowedError: Answer(405),
    errors.ChallengeBusyError: Answer(409, _retry_after),
    errors.SignInInProgressError: Answer(409, _retry_after),
    JobNotCancellableError: Answer(409),
    ResendNotPossibleError: Answer(409, _known_retry_after),
    SignInRequiredError: Answer(409),
    ConnectSessionEndedError: Answer(409),
    PayloadTooLargeError: Answer(413, _close),
    UnsupportedMediaTypeError: Answer(415),
    InvalidRequestError: Answer(422),
    errors.IdempotencyKeyReusedError: Answer(422),
    RateLimitedError: Answer(429, _rate_limit),
    TooManyFailedSignInsError: Answer(429, _rate_limit),
    TooManyCodesError: Answer(429, _rate_limit),
    errors.FitTrackError: Answer(500),
    errors.ServiceUnavailableError: Answer(503, _retry_after),
    errors.SubmissionUncertainError: Answer(503, _retry_after),
    errors.GarminRefusesError: Answer(503, _retry_after),
    RefreshFailedError: Answer(503, _retry_after),
    NotReadyError: Answer(503, _retry_after),
}
"""The whole table. An error that is not in it is a bug, answered as a plain `FitTrackError`."""


def problem(error: errors.FitTrackError) -> Problem:
    """`error`: one whose class is in `ANSWERS`."""
    status = ANSWERS[type(error)].status
    sign_in = error if isinstance(error, SignInRequiredError) else None
    return Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=error.message,
        code=ProblemCode(error.code),
        errors=error.faults if isinstance(error, InvalidRequestError) else None,
        reason=StateReason(sign_in.reason) if sign_in else None,
        since=sign_in.since if sign_in else None,
        unavailable=_unavailable(error),
    )


def error_response(error: errors.FitTrackError) -> Response:
    if type(error) not in ANSWERS:
        _log.error("bug: %s", where(error))
        error = errors.FitTrackError()
    if isinstance(error, errors.ServiceUnavailableError):
        _log.warning("answered 503: %s", ", ".join(_unavailable(error) or ()))
    body = problem(error)
    return Response(
        body.model_dump_json(exclude_none=True),
        status_code=body.status,
        headers=dict(ANSWERS[type(error)].headers(error)),
        media_type="application/problem+json",
    )


def invalid_body(error: ValidationError) -> errors.FitTrackError:
    """Say where and why, never what was sent: even an unknown field's name can be a secret."""
    details = error.errors(include_input=False, include_url=False, include_context=False)
    if any(detail["type"] == "json_invalid" for detail in details):
        return NotJsonError()
    faults = [_fault(detail["type"], detail["loc"], detail["msg"]) for detail in details]
    # Two thousand unknown fields are one fault.
    return InvalidRequestError(*{str(fault): fault for fault in faults}.values())


def _fault(kind: str, loc: tuple[int | str, ...], message: str) -> FieldFault:
    if kind == "extra_forbidden":
        return FieldFault(loc=["body"], message="contains an unknown field")
    if kind == "too_short" and message.endswith("not 0"):
        message = "must not be empty"
    return FieldFault(loc=["body", *map(str, loc)], message=message.removeprefix("Value error, "))


def _unavailable(error: errors.FitTrackError) -> list[str] | None:
    if isinstance(error, NotReadyError):
        return error.missing
    return [error.what] if isinstance(error, errors.ServiceUnavailableError) else None


async def answer_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, errors.FitTrackError)  # noqa: S101 - registered for it alone
    return error_response(error)


async def answer_http_error(_: Request, error: Exception) -> Response:
    """Answer Starlette's own errors: no such path, or not with this method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    ours = MethodNotAllowedError if error.status_code == 405 else NotFoundError
    response = error_response(ours())
    response.headers.update(error.headers or {})
    return response
