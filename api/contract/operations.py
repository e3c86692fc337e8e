"""What an operation of the API is: the route and the OpenAPI document are made from it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from shared.errors import FitTrackError

Endpoint = Callable[[Request], Awaitable[Response]]


class Tag(StrEnum):
    """The groups of operations, in the order of the document."""

    SIGN_IN = "Sign in"
    SESSIONS = "Sessions"
    CONNECT = "Connect page"
    CONNECTIONS = "Garmin connections"
    MONITORING = "Monitoring"


class Security(StrEnum):
    """What a request can be authorized with."""

    POLL_TOKEN = "poll_token"  # noqa: S105 - a name, no secret
    ACCESS_TOKEN = "access_token"  # noqa: S105 - a name, no secret
    CLIENT_KEY = "client_key"
    CONNECT_TOKEN = "connect_token"  # noqa: S105 - a name, no secret


@dataclass(frozen=True)
class Parameter:
    """`location` is `path`, `query` or `header`; `schema` is a JSON schema."""

    name: str
    location: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """The response of a request that succeeded.

    `always` and `sometimes` name headers, `links` are OpenAPI's. `models` are alternatives.
    """

    status: int
    description: str
    models: tuple[type[BaseModel], ...] = ()
    media_type: str = "application/json"
    always: tuple[str, ...] = ()
    sometimes: tuple[str, ...] = ()
    examples: Mapping[str, Any] = field(default_factory=dict)
    links: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    `path` is Starlette's, with its converters. `problems` has an example of each error that the
    operation can answer, beside the 500 of a bug.
    """

    method: str
    path: str
    endpoint: Endpoint
    operation_id: str
    tag: Tag
    summary: str
    description: str
    reply: Reply
    problems: tuple[FitTrackError, ...] = ()
    body: type[BaseModel] | None = None
    body_optional: bool = False
    other_replies: tuple[Reply, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    security: Security | None = None
    security_optional: bool = False

    @property
    def replies(self) -> tuple[Reply, ...]:
        return (self.reply, *self.other_replies)
