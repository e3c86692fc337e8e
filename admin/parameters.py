"""What an operator types, read so that a wrong value is answered in plain words."""

import re
import uuid
from collections.abc import Callable
from enum import StrEnum

import typer

_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def one_of[E: StrEnum](names: type[E]) -> Callable[[str], E]:
    """Return a parser of names."""

    def parse(text: str) -> E:
        if text not in names:
            raise typer.BadParameter(f"must be one of {', '.join(names)}")
        return names(text)

    parse.__name__ = names.__name__.lower()
    return parse


def user_id(text: str) -> uuid.UUID:
    """Read this service's id of a user."""
    return _uuid(text, "must be a user's id, a UUID as `users list` shows it")


def user_or_own_id(text: str) -> uuid.UUID:
    """Read this service's id of a user, where an app's own id would need the app's name."""
    return _uuid(
        text, "must be a UUID as `users list` shows it; an app's own id needs --app", "USER"
    )


def delivery_id(text: str) -> uuid.UUID:
    return _uuid(text, "must be a delivery's id, a UUID as `webhooks deliveries` shows it")


def _uuid(text: str, otherwise: str, parameter: str | None = None) -> uuid.UUID:
    """Raise BadParameter, with `otherwise` as its text."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise typer.BadParameter(otherwise, param_hint=parameter) from None


def job_id(text: str) -> str:
    if not _JOB_ID.fullmatch(text):
        raise typer.BadParameter("must be a job's id: letters, digits, dashes, underscores")
    return text
