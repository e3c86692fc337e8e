"""A webhook of the service is verified and read, and nothing else is."""

import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from fittrack_auth_client import Secret, UsageError, WebhookRejectedError
from fittrack_auth_client import webhooks as client
from shared.webhooks.events import EventType, WebhookEvent
from shared.webhooks.signing import WebhookSecrets

AT = datetime(2026, 11, 26, 12, 30, 0, 250_000, tzinfo=UTC)
EVENT = WebhookEvent(
    id=uuid.uuid4(),
    type=EventType.SIGN_IN_REQUIRED,
    at=AT,
    client_user_id="member-4711-\N{SNOWMAN}",
    state="sign_in_required",
    reason="rejected",
    method="password",
    access="read_write",
    domain="garmin.com",
)
SECRETS = WebhookSecrets.new()
SECRET = SECRETS.current.get_secret_value()


def signed(secrets: WebhookSecrets = SECRETS, body: str = EVENT.body()) -> dict[str, str]:
    return secrets.headers(EVENT, body)


@pytest.mark.parametrize("secret", [SECRET, Secret(SECRET)])
@pytest.mark.parametrize("body", [EVENT.body(), EVENT.body().encode()])
def test_what_the_service_signs_is_read(secret: str | Secret, body: str | bytes) -> None:
    headers = {name.title(): value for name, value in signed().items()}
    assert client.verify(headers, body, secret) == client.WebhookEvent(
        id=EVENT.message_id,
        type=client.EventType.SIGN_IN_REQUIRED,
        timestamp=AT,
        data=client.WebhookData(
            user_id=EVENT.client_user_id,
            state="sign_in_required",
            reason="rejected",
            method="password",
            access="read_write",
            domain="garmin.com",
        ),
    )


def test_the_client_knows_the_types_of_the_service() -> None:
    assert set(client.EventType) == {client.EventType(kind) for kind in EventType}


def test_while_a_secret_is_replaced_both_verify() -> None:
    both = SECRETS.rotated(timedelta(hours=1))
    new = both.current.get_secret_value()
    for secret in (SECRET, new):
        assert client.verify(signed(both), EVENT.body(), secret).id == EVENT.message_id
    alone = SECRETS.rotated(timedelta())
    with pytest.raises(WebhookRejectedError):
        client.verify(signed(alone), EVENT.body(), SECRET)


def old() -> dict[str, str]:
    return signed() | {"webhook-timestamp": str(int(time.time()) - 600)}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, EVENT.body()),
        (signed(), EVENT.body().replace("4711", "4712")),
        (signed(WebhookSecrets.new()), EVENT.body()),
        (signed() | {"webhook-id": "msg_other"}, EVENT.body()),
        (old(), EVENT.body()),
        (signed() | {"webhook-timestamp": "now"}, EVENT.body()),
        (signed() | {"webhook-signature": "v1"}, EVENT.body()),
        (signed() | {"webhook-signature": "v1,="}, EVENT.body()),
        (signed() | {"webhook-signature": ""}, EVENT.body()),
        (signed(), b"\xff"),
        (signed(body="no JSON"), "no JSON"),
        (signed(body="[]"), "[]"),
        (signed(body="{}"), "{}"),
    ],
)
def test_everything_else_is_rejected(headers: dict[str, str], body: str | bytes) -> None:
    with pytest.raises(WebhookRejectedError) as rejected:
        client.verify(headers, body, SECRET)
    assert rejected.value.code == "webhook_rejected"
    assert SECRET not in str(rejected.value)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_x"])
def test_what_is_no_secret_is_named_as_the_fault(secret: str) -> None:
    with pytest.raises(UsageError):
        client.verify(signed(), EVENT.body(), secret)
