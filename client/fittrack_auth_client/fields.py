"""Typed access to the fields of a JSON object."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from fittrack_auth_client.secret import Secret

T = TypeVar("T")

TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,8192}")  # RFC 6750


class MalformedError(ValueError):
    """A field is missing or of another type than the contract says."""


class Fields:
    """The fields of a JSON object. Unknown ones are ignored: a newer service may send more."""

    def __init__(self, data: object) -> None:
        if not isinstance(data, dict):
            raise MalformedError
        self._data = data

    def get(self, name: str, read: Callable[[object], T]) -> T:
        """Raises MalformedError if the field is missing, null or not what `read` reads."""
        return read(self._data.get(name))

    def optional(self, name: str, read: Callable[[object], T]) -> T | None:
        value = self._data.get(name)
        return None if value is None else read(value)


def text(value: object) -> str:
    if not isinstance(value, str):
        raise MalformedError
    return value


def secret(value: object) -> Secret:
    return Secret(text(value))


def bearer_token(value: object) -> Secret:
    """A token that a header can hold."""
    if not TOKEN.fullmatch(text(value)):
        raise MalformedError
    return secret(value)


def integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise MalformedError
    return value


def boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise MalformedError
    return value


def moment(value: object) -> datetime:
    """An RFC 3339 time, with UTC assumed where no offset is given."""
    try:
        read = datetime.fromisoformat(text(value))
    except ValueError:
        raise MalformedError from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def items(read: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    """A reader of lists of what `read` reads."""

    def read_all(value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise MalformedError
        return tuple(read(item) for item in value)

    return read_all
