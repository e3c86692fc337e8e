"""What is wrong with a request, before anything is done about it."""

from typing import ClassVar

from api.contract.problems import FieldFault
from api.contract.requests import MAX_BODY_BYTES
from shared.errors import FitTrackError


class NotJsonError(FitTrackError):
    """The body is not JSON."""

    code: ClassVar[str] = "invalid_request"
    message = "The body is not JSON."


class InvalidRequestError(FitTrackError):
    """A body, parameter or header is not valid."""

    code: ClassVar[str] = "invalid_request"
    message = "The request is not valid."

    def __init__(self, *faults: FieldFault) -> None:
        super().__init__(self.message)
        self.faults = list(faults)


class PayloadTooLargeError(FitTrackError):
    """The body is larger than `MAX_BODY_BYTES`."""

    code: ClassVar[str] = "payload_too_large"
    message = f"The body must not be larger than {MAX_BODY_BYTES} bytes."


class UnsupportedMediaTypeError(FitTrackError):
    """The body has another content type than JSON."""

    code: ClassVar[str] = "unsupported_media_type"
    message = "The body must be application/json."


class NotFoundError(FitTrackError):
    """No endpoint has this path."""

    code: ClassVar[str] = "not_found"
    message = "Not Found."


class MethodNotAllowedError(FitTrackError):
    """The path has no such method."""

    code: ClassVar[str] = "method_not_allowed"
    message = "Method Not Allowed."


class NotReadyError(FitTrackError):
    """`missing`: which of Redis and the database do not answer."""

    code: ClassVar[str] = "service_unavailable"
    message = "Something this service depends on does not answer: try again shortly."
    retry_after = 5

    def __init__(self, missing: list[str]) -> None:
        super().__init__(*missing)
        self.missing = missing
