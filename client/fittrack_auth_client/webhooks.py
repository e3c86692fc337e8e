"""Webhooks of the service: verify one, and read it. See docs/webhooks.md.

event = verify(request.headers, request.body, "whsec_…")
if event.type == EventType.SIGN_IN_REQUIRED:
    ask_to_connect_again(event.data.user_id)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from standardwebhooks.webhooks import (
    EmptyWebhookSecretError,
    Webhook,
    WebhookVerificationError,
)

from fittrack_auth_client.errors import UsageError, WebhookRejectedError
from fittrack_auth_client.fields import Fields, moment, text
from fittrack_auth_client.secret import Secret, as_secret


class EventType(StrEnum):
    """The types of today. A newer service may send others."""

    CONNECTED = "garmin.connected"
    DISCONNECTED = "garmin.disconnected"
    SIGN_IN_REQUIRED = "garmin.sign_in_required"
    EXPIRING = "garmin.expiring"
    TEST = "webhook.test"


@dataclass(frozen=True, kw_only=True)
class WebhookData:
    """The connection that an event is about, as it was then. None: the event has no such thing.

    `state` and `reason` are those of `Connection`.
    """

    user_id: str | None
    state: str | None
    reason: str | None
    method: str | None
    access: str | None
    domain: str | None


@dataclass(frozen=True, kw_only=True)
class WebhookEvent:
    """A verified event. `id` is the same each time that it is delivered: apply it once.

    `timestamp` is when it happened.
    """

    id: str
    type: str
    timestamp: datetime
    data: WebhookData


def verify(headers: Mapping[str, str], body: bytes | str, secret: str | Secret) -> WebhookEvent:
    """Return the event in a request, whose body is given as it came.

    Raises WebhookRejectedError unless it was signed with the secret in the last five minutes, and
    UsageError if the secret is none.
    """
    by_name = {name.lower(): value for name, value in headers.items()}
    key = _key(as_secret(secret))
    try:
        data = key.verify(body, by_name)
        return _read(by_name["webhook-id"], Fields(data))
    except (WebhookVerificationError, ValueError):  # of encodings, JSON, and of what is in it
        raise WebhookRejectedError("not signed with this secret, or too old") from None


def _key(secret: Secret) -> Webhook:
    try:
        return Webhook(secret.reveal())
    except (EmptyWebhookSecretError, ValueError):
        raise UsageError("a secret of webhooks begins with whsec_", code="bad_input") from None


def _read(message_id: str, fields: Fields) -> WebhookEvent:
    data = fields.get("data", Fields)
    return WebhookEvent(
        id=message_id,
        type=fields.get("type", text),
        timestamp=fields.get("timestamp", moment),
        data=WebhookData(
            user_id=data.optional("user_id", text),
            state=data.optional("state", text),
            reason=data.optional("reason", text),
            method=data.optional("method", text),
            access=data.optional("access", text),
            domain=data.optional("domain", text),
        ),
    )
