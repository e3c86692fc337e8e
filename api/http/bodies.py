"""Reading requests: bodies, bearer tokens, parameters."""

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from api.contract.models import FieldFault
from api.http.problems import ApiError, invalid, of_validation, unauthorized

LARGEST_BODY = 16 * 1024
LONGEST_WAIT = 30
_LONGEST_TOKEN = 256


async def read_json[T: BaseModel](request: Request, model: type[T]) -> T:
    """The body as `model`. Raises ApiError: 413, 415, 400 or 422."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise ApiError(415, "unsupported_media_type", "The body must be application/json.")
    body = await _read(request)
    try:
        body.decode()
    except UnicodeDecodeError:
        raise invalid([FieldFault(loc=["body"], message="is not valid UTF-8")]) from None
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise of_validation(error) from None


def bearer_token(request: Request) -> str:
    """The token of the Authorization header. Raises ApiError 401 if there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not 0 < len(token) <= _LONGEST_TOKEN:
        raise unauthorized()
    return token


def wait_seconds(request: Request) -> int:
    """How long a poll may wait: 0 to 30 whole seconds. Raises ApiError 422."""
    value = request.query_params.get("wait", "0")
    if not (value.isascii() and value.isdecimal() and len(value) <= 2):
        seconds = LONGEST_WAIT + 1
    else:
        seconds = int(value)
    if seconds > LONGEST_WAIT:
        message = f"must be a whole number of seconds from 0 to {LONGEST_WAIT}"
        raise invalid([FieldFault(loc=["query", "wait"], message=message)])
    return seconds


async def _read(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > LARGEST_BODY:
        raise _too_large()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise _too_large()
    return bytes(body)


def _too_large() -> ApiError:
    detail = f"The body must not be larger than {LARGEST_BODY} bytes."
    return ApiError(413, "payload_too_large", detail, {"Connection": "close"})
