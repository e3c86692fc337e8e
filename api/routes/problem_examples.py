"""Examples of problems, for the tables of operations."""

from api.contract.problems import FieldFault
from api.http.errors import (
    InvalidRequestError,
    NotJsonError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)
from shared.errors import ServiceUnavailableError
from shared.redis.rate_limits import Standing, Window

DATABASE_AWAY = ServiceUnavailableError("database")
REDIS_AWAY = ServiceUnavailableError("redis")
BODY = (NotJsonError(), PayloadTooLargeError(), UnsupportedMediaTypeError())


def invalid(*loc: str, message: str) -> InvalidRequestError:
    return InvalidRequestError(FieldFault(loc=list(loc), message=message))


def full(limit: str) -> Standing:
    """A limit that is reached."""
    return Standing(limit, (Window(quota=20, seconds=60, remaining=0, reset=17),))
