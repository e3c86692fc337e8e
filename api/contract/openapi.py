"""`/openapi.json`: the contract, written out from the models that validate it."""

from importlib.metadata import version
from typing import Any

from openapi_pydantic import OpenAPI
from openapi_pydantic.util import PydanticSchema, construct_open_api_with_schema_class
from pydantic import BaseModel

from api.contract.models import (
    JOB_EXAMPLES,
    USER_ID,
    ClientLinkResponse,
    CodeRequest,
    Health,
    JobAccepted,
    JobFailed,
    JobInProgress,
    JobMfaRequired,
    JobSucceeded,
    LoginRequest,
    Problem,
    SessionResponse,
)
from api.http.bodies import LONGEST_WAIT
from api.routes.jobs import JOB_ID

_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
_RATE_LIMIT: dict[str, Any] = {
    "RateLimit": {
        "schema": {"type": "string"},
        "description": "For each window, what remains (`r`) and when it has room again (`t`, s).",
    },
    "RateLimit-Policy": {
        "schema": {"type": "string"},
        "description": "For each window, its quota (`q`) and its length (`w`, s).",
    },
}
_PROBLEM_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    409: _RETRY_AFTER,
    429: _RETRY_AFTER | _RATE_LIMIT,
    503: _RETRY_AFTER,
}
_TO_POLL = {
    "poll": {
        "operationId": "get_job",
        "parameters": {"job_id": "$response.body#/job_id"},
        "description": "With `poll_token` as the bearer token.",
    }
}
_TO_SEND_CODE = {
    "send_code": {
        "operationId": "complete_mfa",
        "requestBody": {"challenge_id": "$response.body#/mfa_challenge_id"},
        "description": "With the person's code as `mfa_code`, if `mfa_challenge_id` is there.",
    }
}
_PROBLEMS = {
    400: "Not JSON.",
    401: "No valid bearer token, or no valid X-Client-Key.",
    404: "Not found.",
    405: "Not with this method.",
    409: "A sign-in for this account, or a check of a code for this challenge, is running.",
    413: "Larger than 16 KiB.",
    415: "Not `application/json`.",
    422: "Not valid; `errors` says where. Or the Idempotency-Key came with another body before.",
    429: "Too often.",
    500: "A bug.",
    503: "Redis, the broker or the database does not answer, or Garmin refuses all sign-ins.",
}


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    skeleton = OpenAPI.model_validate(
        {
            "openapi": "3.1.1",
            "info": {
                "title": "FitTrack Auth",
                "version": version("fittrack-auth"),
                "summary": "Links Garmin Connect accounts: submit, poll, done.",
            },
            "paths": _paths(),
            "components": {
                "securitySchemes": {
                    "poll_token": {"type": "http", "scheme": "bearer"},
                    "access_token": {"type": "http", "scheme": "bearer"},
                    "client_key": {
                        "type": "apiKey",
                        "in": "header",
                        "name": "X-Client-Key",
                        "description": "An app's. Needed with `user_id`, or if the operator says.",
                    },
                }
            },
        }
    )
    built = construct_open_api_with_schema_class(skeleton)
    # What was not set says nothing new, and some of it is not allowed where it would stand.
    return built.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _paths() -> dict[str, Any]:
    return {
        "/api/garmin/login": {
            "post": _submission("login", "Sign in at Garmin", LoginRequest, [409])
        },
        "/api/garmin/login/mfa-complete": {
            "post": _submission("complete_mfa", "Send the code", CodeRequest, [404, 409])
        },
        "/api/jobs/{job_id}": {"get": _poll()},
        "/api/session": {
            "get": _operation(
                "get_session",
                "Who am I",
                {200: _reply("The session.", SessionResponse)},
                [401, 503],
                security="access_token",
            ),
            "delete": _logout("delete_session", "Log out"),
        },
        "/api/sessions": {"delete": _logout("delete_sessions", "Log out everywhere")},
        "/api/garmin/tokens": {"delete": _logout("delete_tokens", "Unlink Garmin")},
        "/api/users/{user_id}/garmin": _link(),
        "/healthz": {"get": _operation("healthz", "Alive", {200: _reply("Alive.", Health)}, [])},
        "/readyz": {"get": _operation("readyz", "Ready", {200: _reply("Ready.", Health)}, [503])},
        "/metrics": {
            "get": _operation(
                "metrics",
                "Figures for Prometheus",
                {200: {"description": "The figures.", "content": {"text/plain": {}}}},
                [],
            )
        },
    }


def _submission(name: str, summary: str, model: type[BaseModel], more: list[int]) -> dict[str, Any]:
    accepted = _reply("Enqueued: poll `status_url`.", JobAccepted)
    location = {"Location": {"schema": {"type": "string"}}}
    accepted["headers"] = _always(_RETRY_AFTER | _RATE_LIMIT | location)
    accepted["links"] = _TO_POLL
    body = {"required": True, "content": {"application/json": {"schema": _schema(model)}}}
    problems = sorted([400, 401, 413, 415, 422, 429, 503, *more])
    repeat = {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Sent again with the same key and body, it answers the same job.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    }
    operation = _operation(name, summary, {202: accepted}, problems)
    # A client key is needed only where the operator says so.
    more_of_it = {"requestBody": body, "parameters": [repeat], "security": [{}, {"client_key": []}]}
    return operation | more_of_it


def _poll() -> dict[str, Any]:
    states: list[type[BaseModel]] = [JobInProgress, JobMfaRequired, JobSucceeded, JobFailed]
    content = {
        "schema": {"oneOf": [_schema(state) for state in states]},
        "examples": {name: {"value": value} for name, value in JOB_EXAMPLES.items()},
    }
    reply = {
        "description": "The job.",
        "headers": _RETRY_AFTER,
        "content": {"application/json": content},
        "links": _TO_SEND_CODE,
    }
    parameters = [
        {
            "name": "job_id",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": f"^{JOB_ID.pattern}$"},
        },
        {
            "name": "wait",
            "in": "query",
            "description": "Seconds to wait for a change.",
            "schema": {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT, "default": 0},
        },
    ]
    operation = _operation(
        "get_job", "Poll a job", {200: reply}, [401, 404, 422, 503], security="poll_token"
    )
    return operation | {"parameters": parameters}


def _link() -> dict[str, Any]:
    parameter = {
        "name": "user_id",
        "in": "path",
        "required": True,
        "description": "The app's own id for the person, percent-encoded: its slashes, too.",
        "schema": {"type": "string", "pattern": USER_ID.pattern},
    }
    found = {200: _reply("The linked account.", ClientLinkResponse)}
    done = {204: {"description": "Done."}}
    names = {"get": ("get_link", "See a link", found), "delete": ("delete_link", "Unlink", done)}
    return {
        method: _operation(name, summary, replies, [401, 404, 503], security="client_key")
        | {"parameters": [parameter]}
        for method, (name, summary, replies) in names.items()
    }


def _logout(name: str, summary: str) -> dict[str, Any]:
    done = {204: {"description": "Done."}}
    return _operation(name, summary, done, [401, 503], security="access_token")


def _operation(
    name: str,
    summary: str,
    replies: dict[int, dict[str, Any]],
    problems: list[int],
    security: str | None = None,
) -> dict[str, Any]:
    responses = replies | {status: _problem(status) for status in [*problems, 500]}
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "responses": {str(status): reply for status, reply in responses.items()},
    }
    return operation | ({"security": [{security: []}]} if security else {})


def _reply(description: str, model: type[BaseModel]) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": _schema(model)}},
    }


def _problem(status: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _schema(Problem)}}
    headers = _PROBLEM_HEADERS.get(status)
    return {"description": _PROBLEMS[status], "content": content} | (
        {"headers": _always(headers)} if headers else {}
    )


def _always(headers: dict[str, Any]) -> dict[str, Any]:
    """Headers that no such reply lacks."""
    return {name: header | {"required": True} for name, header in headers.items()}


def _schema(model: type[BaseModel]) -> PydanticSchema[BaseModel]:
    return PydanticSchema(schema_class=model)
