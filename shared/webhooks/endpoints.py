"""Endpoints: where apps hear of their connections."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import Session

from shared.crypto.keyring import Keyring, Purpose
from shared.database.models import ApiClient, WebhookEndpoint
from shared.webhooks.errors import (
    AmbiguousWebhookError,
    UnknownWebhookError,
    WebhookExistsError,
)
from shared.webhooks.signing import WebhookSecrets


@dataclass(frozen=True)
class EndpointView:
    id: uuid.UUID
    client_id: uuid.UUID
    client: str
    url: str
    created_at: datetime
    disabled_at: datetime | None
    disabled_reason: str | None


class EndpointRepository:
    """Endpoints, within the caller's transaction."""

    def __init__(self, session: Session, keyring: Keyring) -> None:
        self._session = session
        self._keyring = keyring

    def add(self, client_id: uuid.UUID, url: str) -> tuple[EndpointView, str]:
        """Add an endpoint; return it with its secret. Raises WebhookExistsError."""
        same = (WebhookEndpoint.client_id == client_id, WebhookEndpoint.url == url)
        if self._session.scalar(select(WebhookEndpoint.id).where(*same)):
            raise WebhookExistsError
        row = WebhookEndpoint(
            id=uuid.uuid4(), client_id=client_id, url=url, created_at=datetime.now(UTC)
        )
        secret = self._seal(row, WebhookSecrets.new())
        self._session.add(row)
        self._session.flush()
        return self.find(str(row.id)), secret

    def rotate(self, endpoint_id: uuid.UUID, overlap: timedelta) -> str:
        """Replace the secret and return the new one; both sign during the overlap.

        Raises UnknownWebhookError, SealBrokenError.
        """
        row = self._row(endpoint_id)
        return self._seal(row, self.secrets(row).rotated(overlap))

    def remove(self, endpoint_id: uuid.UUID) -> None:
        """Delete an endpoint and all of its deliveries. Raises UnknownWebhookError."""
        self._session.delete(self._row(endpoint_id))
        self._session.flush()

    def enable(self, endpoint_id: uuid.UUID) -> None:
        """Have events written again for a disabled endpoint. Raises UnknownWebhookError."""
        row = self._row(endpoint_id)
        row.disabled_at = row.disabled_reason = row.paused_until = None

    def find(self, name: str) -> EndpointView:
        """Return the endpoint with this id, or the only one of the app with this name.

        Raises UnknownWebhookError, and AmbiguousWebhookError if the app has several.
        """
        try:
            found = self._views(WebhookEndpoint.id == uuid.UUID(name))
        except ValueError:
            found = self._views(ApiClient.name == name)
        if not found:
            raise UnknownWebhookError
        if len(found) > 1:
            raise AmbiguousWebhookError
        return found[0]

    def all(self, client: str | None = None) -> Sequence[EndpointView]:
        """Return every endpoint, or one app's, by the app's name."""
        return self._views(true() if client is None else ApiClient.name == client)

    def secrets(self, row: WebhookEndpoint) -> WebhookSecrets:
        """Raises SealBrokenError."""
        opened = self._keyring.open(row.ciphertext, Purpose.WEBHOOK_SECRETS, str(row.id))
        return WebhookSecrets.from_revealed(opened)

    def _seal(self, row: WebhookEndpoint, secrets: WebhookSecrets) -> str:
        revealed = secrets.reveal()
        row.key_id = self._keyring.sealing_key_id
        row.ciphertext = self._keyring.seal(revealed, Purpose.WEBHOOK_SECRETS, str(row.id))
        return secrets.current.get_secret_value()

    def _views(self, of: ColumnElement[bool]) -> Sequence[EndpointView]:
        query = (
            select(WebhookEndpoint, ApiClient.name)
            .join(ApiClient, ApiClient.id == WebhookEndpoint.client_id)
            .where(of)
            .order_by(ApiClient.name, WebhookEndpoint.created_at)
        )
        return [_view(*found) for found in self._session.execute(query)]

    def _row(self, endpoint_id: uuid.UUID) -> WebhookEndpoint:
        row = self._session.get(WebhookEndpoint, endpoint_id, with_for_update=True)
        if row is None:
            raise UnknownWebhookError
        return row


def _view(row: WebhookEndpoint, client: str) -> EndpointView:
    return EndpointView(
        row.id,
        row.client_id,
        client,
        row.url,
        row.created_at,
        row.disabled_at,
        row.disabled_reason,
    )
