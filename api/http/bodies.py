"""Read requests: bodies, bearer tokens, query parameters."""

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from api.contract.problems import FieldFault
from api.contract.requests import MAX_BODY_BYTES, MAX_WAIT_SECONDS
from api.http.errors import InvalidRequestError, PayloadTooLargeError, UnsupportedMediaTypeError
from api.http.problems import invalid_body
from shared.errors import UnauthorizedError
from shared.jobs.states import JobStage

_MAX_TOKEN_LENGTH = 256


async def read_json[T: BaseModel](request: Request, model: type[T]) -> T:
    """Validate the body as `model`.

    Raises UnsupportedMediaTypeError, PayloadTooLargeError, NotJsonError, InvalidRequestError.
    """
    _check_content_type(request)
    return _parsed(await _read(request), model)


async def read_optional_json[T: BaseModel](request: Request, model: type[T]) -> T:
    """As `read_json`; a request without a body gets the defaults."""
    body = await _read(request)
    if not body:
        return model()
    _check_content_type(request)
    return _parsed(body, model)


def _check_content_type(request: Request) -> None:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise UnsupportedMediaTypeError


def _parsed[T: BaseModel](body: bytes, model: type[T]) -> T:
    try:
        body.decode()
    except UnicodeDecodeError:
        fault = FieldFault(loc=["body"], message="must be valid UTF-8")
        raise InvalidRequestError(fault) from None
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise invalid_body(error) from None


def bearer_token(request: Request) -> str:
    """The token of the Authorization header. Raises UnauthorizedError if there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not 0 < len(token) <= _MAX_TOKEN_LENGTH:
        raise UnauthorizedError
    return token


def wait_seconds(request: Request) -> int:
    """How long a poll may wait: 0 to 30 whole seconds. Raises InvalidRequestError."""
    return whole_number(request, "wait", 0, 0, MAX_WAIT_SECONDS, "a whole number of seconds")


def whole_number(
    request: Request,
    name: str,
    default: int,
    smallest: int,
    largest: int,
    what: str = "a whole number",
) -> int:
    """Return a query parameter, or its default. Raises InvalidRequestError."""
    value = request.query_params.get(name)
    if value is None:
        return default
    digits = len(str(largest))
    if value.isascii() and value.isdecimal() and len(value) <= digits:
        number = int(value)
        if smallest <= number <= largest:
            return number
    message = f"must be {what} from {smallest} to {largest}"
    raise InvalidRequestError(FieldFault(loc=["query", name], message=message))


def seen_stage(request: Request) -> JobStage | None:
    """Return the value of `seen`, if it is there. Raises InvalidRequestError."""
    value = request.query_params.get("seen")
    if value is None:
        return None
    try:
        return JobStage(value)
    except ValueError:
        message = f"must be one of {', '.join(JobStage)}"
        raise InvalidRequestError(FieldFault(loc=["query", "seen"], message=message)) from None


async def _read(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
        raise PayloadTooLargeError
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise PayloadTooLargeError
    return bytes(body)
