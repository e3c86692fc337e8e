"""Connect sessions: a person connects Garmin on a page of the service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fittrack_auth_client.fields import Fields, moment, text
from fittrack_auth_client.models import JobError, User


@dataclass(frozen=True, kw_only=True)
class NewConnectSession:
    """A connect session to send a person to. Whoever has `url` can use it, once."""

    id: str
    url: str = field(repr=False)
    expires_at: datetime

    @classmethod
    def read(cls, data: object) -> "NewConnectSession":
        fields = Fields(data)
        return cls(
            id=fields.get("id", text),
            url=fields.get("url", text),
            expires_at=fields.get("expires_at", moment),
        )


@dataclass(frozen=True, kw_only=True)
class ConnectSession:
    """How far a connect session has come.

    `status` is `open`, `code_required`, `connected`, `failed` (the person may still try again),
    `cancelled` or `expired`. `user` is who has connected, `error` why the last try failed.
    """

    id: str
    user_id: str
    status: str
    expires_at: datetime
    user: User | None = None
    error: JobError | None = None

    @classmethod
    def read(cls, data: object) -> "ConnectSession":
        fields = Fields(data)
        return cls(
            id=fields.get("id", text),
            user_id=fields.get("user_id", text),
            status=fields.get("status", text),
            expires_at=fields.get("expires_at", moment),
            user=fields.optional("user", User.read),
            error=fields.optional("error", JobError.read),
        )


def wish(
    user_id: str, options: Mapping[str, str | None], methods: Sequence[str] | None
) -> dict[str, str | tuple[str, ...]]:
    """Return the body of a request for a session; what is None is left out."""
    body: dict[str, str | tuple[str, ...]] = {
        name: value for name, value in options.items() if value is not None
    }
    if methods is not None:
        body["methods"] = tuple(methods)
    return {"user_id": user_id, **body}
