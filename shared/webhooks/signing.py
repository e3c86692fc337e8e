"""The secrets of an endpoint, and signatures by Standard Webhooks 1.0."""

import base64
import secrets
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr
from standardwebhooks import Webhook

from shared.crypto.secret import Sealable, Secret
from shared.webhooks.events import WebhookEvent

_SECRET_BYTES = 32


class WebhookSecrets(Sealable):
    """`previous` signs as well until `previous_until`, so that a receiver can take its time."""

    current: Secret
    previous: Secret | None = None
    previous_until: datetime | None = None

    @classmethod
    def new(cls) -> "WebhookSecrets":
        return cls(current=_new_secret())

    def rotated(self, overlap: timedelta) -> "WebhookSecrets":
        """Return a new secret, and the one that it replaces for as long as they overlap."""
        if not overlap:
            return self.new()
        until = datetime.now(UTC) + overlap
        return WebhookSecrets(current=_new_secret(), previous=self.current, previous_until=until)

    def headers(self, event: WebhookEvent, body: str) -> dict[str, str]:
        """Sign an event that is sent now."""
        now = datetime.now(UTC)
        signatures = [
            Webhook(secret.get_secret_value()).sign(event.message_id, now, body)
            for secret in self._valid(now)
        ]
        return {
            "webhook-id": event.message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }

    def _valid(self, now: datetime) -> list[SecretStr]:
        if self.previous is None or self.previous_until is None or self.previous_until <= now:
            return [self.current]
        return [self.current, self.previous]


def _new_secret() -> SecretStr:
    return SecretStr(f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}")
