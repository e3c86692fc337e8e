"""Errors as RFC 9457 problems: one table, one shape."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.contract.models import FieldFault, Problem
from api.http.limits import rate_limit_headers
from shared import errors
from shared.logs.locations import where
from shared.redis.rate_limits import LOGIN_PER_ACCOUNT, RateLimitedError

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class ApiError(Exception):
    """A request that can't be answered as asked."""

    status: int
    code: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    faults: list[FieldFault] | None = None
    unavailable: list[str] | None = None

    def response(self) -> Response:
        problem = Problem(
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            code=self.code,
            errors=self.faults,
            unavailable=self.unavailable,
        )
        return Response(
            problem.model_dump_json(exclude_none=True),
            status_code=self.status,
            headers=dict(self.headers),
            media_type="application/problem+json",
        )


def of_error(error: errors.FitTrackError) -> ApiError:
    """The table from our errors to HTTP."""
    match error:
        case errors.JobNotFoundError():
            return ApiError(404, "job_not_found", "No such job, or not with this poll token.")
        case errors.ChallengeNotFoundError():
            detail = "No such challenge: unknown, expired, finished or used up."
            return ApiError(404, "challenge_not_found", detail)
        case errors.ChallengeBusyError(retry_after=seconds):
            detail = "A code for this challenge is being checked right now."
            return ApiError(409, "challenge_busy", detail, {"Retry-After": str(seconds)})
        case errors.SignInInProgressError(retry_after=seconds):
            detail = "A sign-in for this account is running: poll its job, or wait for its end."
            return ApiError(409, "sign_in_in_progress", detail, {"Retry-After": str(seconds)})
        case errors.IdempotencyKeyReusedError():
            detail = "This Idempotency-Key came with another body before."
            return ApiError(422, "idempotency_key_reused", detail)
        case RateLimitedError(standing=standing, retry_after=seconds):
            headers = rate_limit_headers(standing) | {"Retry-After": str(seconds)}
            detail = "Too often: try again later."
            if standing.limit == LOGIN_PER_ACCOUNT:
                detail = "Too many sign-ins of this account have failed: try again later."
            return ApiError(429, "rate_limited", detail, headers)
        case errors.LinkNotFoundError():
            return ApiError(404, "link_not_found", "No Garmin account is linked to this user.")
        case errors.UnauthorizedError():
            return unauthorized()
        case errors.UnknownClientError():
            headers = {"WWW-Authenticate": "ClientKey"}
            return ApiError(401, "unauthorized", "A valid X-Client-Key is needed.", headers)
        case errors.ServiceUnavailableError(what=what, retry_after=seconds):
            detail = "Something this service depends on does not answer: try again shortly."
            if what == "garmin":
                detail = "Garmin refuses sign-ins from here for now: try again later."
            headers = {"Retry-After": str(seconds)}
            return ApiError(503, "service_unavailable", detail, headers, unavailable=[what])
        case _:
            return ApiError(500, "internal_error", "Something went wrong here.")


def unauthorized() -> ApiError:
    headers = {"WWW-Authenticate": "Bearer"}
    return ApiError(401, "unauthorized", "A valid bearer token is needed.", headers)


def invalid(faults: list[FieldFault]) -> ApiError:
    return ApiError(422, "invalid_request", "The request is not valid.", faults=faults)


def of_validation(error: ValidationError) -> ApiError:
    """Says where and why, never what was sent: also an unknown field's name can be a secret."""
    details = error.errors(include_input=False, include_url=False, include_context=False)
    if any(detail["type"] == "json_invalid" for detail in details):
        return ApiError(400, "invalid_request", "The body is not JSON.")
    faults: list[FieldFault] = []
    for detail in details:
        fault = _fault(detail["type"], detail["loc"], detail["msg"])
        if fault not in faults:  # two thousand unknown fields are one fault
            faults.append(fault)
    return invalid(faults)


def _fault(kind: str, loc: tuple[int | str, ...], message: str) -> FieldFault:
    if kind == "extra_forbidden":
        return FieldFault(loc=["body"], message="holds a field that is not known here")
    return FieldFault(loc=["body", *map(str, loc)], message=message.removeprefix("Value error, "))


async def answer_api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for it alone
    return error.response()


async def answer_our_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, errors.FitTrackError)  # noqa: S101 - registered for it alone
    answer = of_error(error)
    if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("bug: %s", where(error))
    return answer.response()


async def answer_http_error(_: Request, error: Exception) -> Response:
    """Starlette's own: no such route, wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    phrase = HTTPStatus(error.status_code).phrase
    code = phrase.lower().replace(" ", "_")
    return ApiError(error.status_code, code, f"{phrase}.", error.headers or {}).response()
