"""Webhooks through the whole service: queue, workers and the operator's commands."""

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import httpx

from dev.operator import admin
from dev.simulator import PASSWORD, Simulator
from dev.stack import Stack
from tests.end_to_end.client import Client
from tests.webhook_receiver import Receiver, answer, receiving

USERNAME = "plain-wendy@example.com"
PATIENCE = 60.0


def eventually(condition: Callable[[], object]) -> None:
    ends_at = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends_at, "waited in vain"
        time.sleep(0.02)


def metrics(stack: Stack) -> str:
    return httpx.get(f"{stack.url}/metrics", trust_env=False, timeout=30).text


def test_an_app_hears_once_of_each_change_though_a_worker_dies_between_delivery_and_note(
    own_stack: Stack, own_client: Client, garmin: Simulator
) -> None:
    key = admin(own_stack, "clients", "add", "app")
    headers = {"X-Client-Key": key}
    with receiving() as receiver:
        receiver.secret = admin(own_stack, "webhooks", "add", "app", receiver.url)
        stack = own_stack.start()

        def die(handler: BaseHTTPRequestHandler) -> None:
            receiver.reply = None
            receiver.applied[receiver.received[-1].id] = receiver.received[-1].event
            stack.workers[0].kill()
            answer(204)(handler)

        receiver.reply = die
        login = {"username": USERNAME, "password": PASSWORD, "user_id": "wendy"}
        job = own_client.http.post("/api/garmin/login", json=login, headers=headers).json()
        assert own_client.wait(job)["status"] == "succeeded"
        eventually(lambda: stack.workers[0].exit_code is not None)
        stack.begin_worker().wait_ready()
        eventually(lambda: len(receiver.received) == 2)

        link = own_client.http.delete("/api/users/wendy/garmin", headers=headers)
        assert link.status_code == 204
        eventually(lambda: len(receiver.received) == 3)
        assert "delivered: 204" in admin(stack, "webhooks", "test", "app")
    assert_heard(receiver)
    eventually(
        lambda: 'fittrack_webhook_deliveries_total{result="delivered"} 3.0' in metrics(stack)
    )
    eventually(lambda: "fittrack_webhook_oldest_pending_seconds 0.0" in metrics(stack))


def assert_heard(receiver: Receiver) -> None:
    again, *rest = [one.id for one in receiver.received]
    assert rest[0] == again
    assert len(set(rest)) == 3
    assert receiver.types() == ["garmin.connected", "garmin.disconnected", "webhook.test"]
