"""`/openapi.json`: the OpenAPI 3.1 document, rendered from the table of operations."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema

from api.contract.operations import Operation, Parameter, Reply, Security, Tag
from api.contract.problems import Problem
from api.http.problems import ANSWERS, problem
from shared.errors import FitTrackError

_SCHEMAS = "#/components/schemas/{model}"
_ABOUT = """\
Your app sends a person's Garmin credentials once and gets a session; this service stores Garmin's
tokens, encrypted.

1. `POST /api/garmin/login` starts a sign-in and returns a job at once.
2. `GET /api/jobs/{job_id}?wait=20` returns its state, as soon as it changes.
3. If the job is `mfa_required`, `POST /api/garmin/login/mfa-complete` sends the person's one-time
   code, as a job of its own.
4. A job that has `succeeded` contains the session's `access_token`.

Every error is an [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem: branch on its `code`.
"""
_TAGS = {
    Tag.SIGN_IN: "Start a sign-in at Garmin, send a one-time code, and poll the job.",
    Tag.SESSIONS: "See and end the sessions of a person who is signed in.",
    Tag.CONNECT: "Have people connect on a page of this service, and what that page itself uses.",
    Tag.CONNECTIONS: "See and remove the Garmin accounts that people have connected.",
    Tag.MONITORING: "For load balancers, orchestrators and Prometheus.",
}
_SECURITY: dict[Security, dict[str, str]] = {
    Security.POLL_TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "description": "The `poll_token` of the job, from the response that accepted it.",
    },
    Security.ACCESS_TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "description": "The `access_token` of the session, from the job that succeeded.",
    },
    Security.CONNECT_TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "description": "What follows the `#` in the `url` of a connect session: for its page.",
    },
    Security.CLIENT_KEY: {
        "type": "apiKey",
        "in": "header",
        "name": "X-Client-Key",
        "description": "The key of an app, made by `fittrack-auth-admin clients add NAME`.",
    },
}
_HEADERS: dict[str, tuple[str, str]] = {
    "Location": ("string", "Where to poll the job."),
    "Retry-After": ("integer", "Seconds to wait before the next request."),
    "RateLimit": (
        "string",
        "For each window, how many remain (`r`) and the seconds until there is room again (`t`).",
    ),
    "RateLimit-Policy": (
        "string",
        "For each window, its quota (`q`) and its length in seconds (`w`).",
    ),
    "WWW-Authenticate": ("string", "`Bearer` or `ClientKey`."),
}


class _Unsorted(GenerateJsonSchema):
    """Keeps fields and examples in the order in which they are written."""

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        return value


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    paths: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for operation in operations:
        path = re.sub(r":\w+}", "}", operation.path)  # without Starlette's converters
        paths[path][operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "FitTrack Auth",
            "version": version("fittrack-auth"),
            "summary": "Connects Garmin accounts: submit, poll, done.",
            "description": _ABOUT,
        },
        "tags": [{"name": tag, "description": text} for tag, text in _TAGS.items()],
        "paths": paths,
        "components": {"schemas": _component_schemas(operations), "securitySchemes": _SECURITY},
    }


def _component_schemas(operations: Sequence[Operation]) -> dict[str, Any]:
    models: set[type[BaseModel]] = {Problem}
    replies = (reply for operation in operations for reply in operation.replies)
    models.update(model for reply in replies for model in reply.models)
    models.update(operation.body for operation in operations if operation.body)
    _, schemas = models_json_schema(
        [(model, "validation") for model in models],
        ref_template=_SCHEMAS,
        schema_generator=_Unsorted,
    )
    definitions: dict[str, Any] = schemas["$defs"]
    return dict(sorted(definitions.items()))


def _operation(operation: Operation) -> dict[str, Any]:
    replies = {reply.status: _reply(reply) for reply in operation.replies}
    responses = replies | _problems(operation.problems)
    rendered: dict[str, Any] = {
        "operationId": operation.operation_id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "responses": {str(status): response for status, response in responses.items()},
    }
    if operation.parameters:
        rendered["parameters"] = [_parameter(parameter) for parameter in operation.parameters]
    if operation.body:
        content = {"application/json": {"schema": _reference(operation.body)}}
        rendered["requestBody"] = {"required": not operation.body_optional, "content": content}
    if operation.security:
        optional: list[dict[str, Any]] = [{}] if operation.security_optional else []
        rendered["security"] = [*optional, {operation.security: []}]
    return rendered


def _parameter(parameter: Parameter) -> dict[str, Any]:
    rendered = {
        "name": parameter.name,
        "in": parameter.location,
        "description": parameter.description,
        "schema": parameter.schema,
    }
    return rendered | ({"required": True} if parameter.location == "path" else {})


def _reply(reply: Reply) -> dict[str, Any]:
    rendered: dict[str, Any] = {"description": reply.description}
    headers = _headers(reply.always, required=True) | _headers(reply.sometimes, required=False)
    if headers:
        rendered["headers"] = headers
    if reply.models:
        schemas = [_reference(model) for model in reply.models]
        content: dict[str, Any] = {
            "schema": schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
        }
        if reply.examples:
            content["examples"] = {
                name: {"value": example} for name, example in reply.examples.items()
            }
        rendered["content"] = {reply.media_type: content}
    elif reply.media_type != "application/json":
        rendered["content"] = {reply.media_type: {}}
    if reply.links:
        rendered["links"] = reply.links
    return rendered


def _problems(examples: Iterable[FitTrackError]) -> dict[int, dict[str, Any]]:
    """The error responses by status, each with the codes it can have and an example of each."""
    by_status: defaultdict[int, list[FitTrackError]] = defaultdict(list)
    for error in (*examples, FitTrackError()):
        by_status[ANSWERS[type(error)].status].append(error)
    return {status: _problem(status, by_status[status]) for status in sorted(by_status)}


def _problem(status: int, errors: Sequence[FitTrackError]) -> dict[str, Any]:
    codes = list(dict.fromkeys(problem(error).code for error in errors))
    content = {
        "schema": _reference(Problem) | {"properties": {"code": {"enum": codes}}},
        "examples": {_name(error): _example(error) for error in errors},
    }
    response: dict[str, Any] = {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in codes)}.",
        "content": {"application/problem+json": content},
    }
    answers = [ANSWERS[type(error)].headers(error).keys() for error in errors]
    headers = _headers(_HEADERS.keys() & set.intersection(*map(set, answers)), required=True)
    return response | ({"headers": headers} if headers else {})


def _example(error: FitTrackError) -> dict[str, Any]:
    return {
        "summary": error.message,
        "value": problem(error).model_dump(mode="json", exclude_none=True),
    }


def _name(error: FitTrackError) -> str:
    """`JobNotFoundError` → `job_not_found`."""
    if type(error) is FitTrackError:
        return error.code
    words = re.findall(r"[A-Z][a-z]*", type(error).__name__.removesuffix("Error"))
    return "_".join(words).lower()


def _headers(names: Iterable[str], *, required: bool) -> dict[str, Any]:
    return {
        name: {"description": _HEADERS[name][1], "schema": {"type": _HEADERS[name][0]}}
        | ({"required": True} if required else {})
        for name in sorted(names)
    }


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": _SCHEMAS.format(model=model.__name__)}
