"""A webhook of the service is verified and read, and nothing else is."""

import re
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from http.server import HTTPServer
from typing import Any

import httpx
import pytest

from dev.processes import ROOT
from fittrack_auth_client import Secret, UsageError, WebhookRejectedError
from fittrack_auth_client import webhooks as client
from shared.webhooks.events import EventType, WebhookEvent
from shared.webhooks.signing import WebhookSecrets

PAGE = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0]
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


@pytest.mark.parametrize("secret", [SECRET, Secret(SECRET)], ids=["text", "Secret"])
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


def test_the_example_of_the_page_verifies_and_applies_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    example: dict[str, Any] = {"__name__": "example"}
    exec(EXAMPLE.replace("whsec_…", SECRET), example)  # noqa: S102 - ours
    example["Hooks"].log_message = lambda *_: None
    with HTTPServer(("127.0.0.1", 0), example["Hooks"]) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/"
        with httpx.Client(trust_env=False) as app:
            signs = (SECRETS, SECRETS, WebhookSecrets.new())
            body = EVENT.body().encode()
            answers = [app.post(url, content=body, headers=signed(by)) for by in signs]
        server.shutdown()
        thread.join()
    assert [answer.status_code for answer in answers] == [204, 204, 400]
    assert capsys.readouterr().out == f"ask to connect again: {EVENT.client_user_id}\n"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_x"])
def test_what_is_no_secret_is_named_as_the_fault(secret: str) -> None:
    with pytest.raises(UsageError):
        client.verify(signed(), EVENT.body(), secret)
