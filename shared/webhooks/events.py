"""What apps are told: the types of event, and the body of one."""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EventType(StrEnum):
    CONNECTED = "garmin.connected"
    """Connected, or connected anew, or well again."""

    DISCONNECTED = "garmin.disconnected"
    SIGN_IN_REQUIRED = "garmin.sign_in_required"
    EXPIRING = "garmin.expiring"
    TEST = "webhook.test"


@dataclass(frozen=True)
class WebhookEvent:
    """One event. `id` is the same each time it is delivered."""

    id: uuid.UUID
    type: str
    at: datetime
    client_user_id: str | None
    state: str | None
    reason: str | None
    method: str | None
    access: str | None
    domain: str | None

    @property
    def message_id(self) -> str:
        """The `webhook-id`."""
        return f"msg_{self.id.hex}"

    def body(self) -> str:
        """Return the JSON that is signed and sent: no secret, and no name of a person."""
        data = {
            "user_id": self.client_user_id,
            "state": self.state,
            "reason": self.reason,
            "method": self.method,
            "access": self.access,
            "domain": self.domain,
        }
        at = self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return json.dumps({"type": self.type, "timestamp": at, "data": data})
