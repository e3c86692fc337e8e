"""What a message in a job queue has to look like for a worker to take it."""

import base64
import binascii
import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.jobs.kinds import KINDS, WEBHOOK_TASK

_TASKS = frozenset((*(row.task for row in KINDS.values()), WEBHOOK_TASK))
_JOB_ID = r"^[A-Za-z0-9_-]{1,64}$"


class MessageFault(StrEnum):
    """Why something is no job's message."""

    NOT_JSON = "not_json"
    NOT_A_MESSAGE = "not_a_message"
    CONTENT_TYPE = "content_type"
    BODY = "body"
    UNKNOWN_TASK = "unknown_task"
    NOT_A_QUEUE = "not_a_queue"
    """Something else has the queue's name."""


class NotAJobError(ValueError):
    def __init__(self, fault: MessageFault) -> None:
        super().__init__(fault)
        self.fault = fault


def _check_task(task: str) -> str:
    if task not in _TASKS:
        raise ValueError("unknown")
    return task


def _check_time(moment: str | None) -> str | None:
    if moment is not None:
        datetime.fromisoformat(moment)
    return moment


class _Part(BaseModel):
    """Fields that it does not name are left out, whatever they hold."""

    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True)


class _Headers(_Part):
    task: Annotated[str, AfterValidator(_check_task)]
    id: str = Field(pattern=_JOB_ID)
    eta: Annotated[str | None, AfterValidator(_check_time)] = None
    retries: int = Field(0, ge=0)
    lang: str | None = None
    origin: str | None = None
    root_id: str | None = None
    parent_id: str | None = None
    argsrepr: str | None = None
    kwargsrepr: str | None = None
    redelivered: bool = False


class _DeliveryInfo(_Part):
    exchange: str
    routing_key: str
    redelivered: bool = False


class _Properties(_Part):
    delivery_tag: str
    delivery_info: _DeliveryInfo
    body_encoding: Literal["base64"]
    correlation_id: str | None = None
    reply_to: str | None = None
    delivery_mode: int | None = None
    priority: int = Field(0, ge=0, le=9)


class _Message(_Part):
    headers: _Headers
    properties: _Properties
    content_type: Literal["application/json"] = Field(alias="content-type")
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")
    body: str

    @model_validator(mode="after")
    def _check_body(self) -> "_Message":
        if not _holds(self.body, self.headers.id):
            raise ValueError("no job id")
        return self


def read_message(stored: bytes) -> dict[str, Any]:
    """Return the message, with nothing but the fields that a worker uses. Raises NotAJobError."""
    try:
        return _Message.model_validate_json(stored).model_dump(by_alias=True)
    except ValidationError as error:
        raise NotAJobError(_fault(error)) from None


def _holds(body: str, job_id: str) -> bool:
    """Whether a task's arguments are the job's id alone, and nothing is to be called after it."""
    try:
        decoded = json.loads(base64.b64decode(body, validate=True))
        arguments, named, embedded = decoded
        follows = [value for value in embedded.values() if value is not None]
    except (binascii.Error, ValueError, TypeError, AttributeError, RecursionError):
        return False
    return (arguments, named, follows) == ([job_id], {}, [])


def _fault(error: ValidationError) -> MessageFault:
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    if first["type"] == "json_invalid":
        return MessageFault.NOT_JSON
    place = first["loc"]
    if (not place and first["type"] == "value_error") or place == ("body",):
        return MessageFault.BODY
    if place[:1] in (("content-type",), ("content-encoding",)):
        return MessageFault.CONTENT_TYPE
    if place == ("headers", "task") and first["type"] == "value_error":
        return MessageFault.UNKNOWN_TASK
    return MessageFault.NOT_A_MESSAGE
