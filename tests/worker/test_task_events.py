"""The events of tasks, as the broker gets them."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.bootsteps import StartStopStep
from kombu import Connection, Queue
from kombu.asynchronous.timer import Timer

from worker import task_events


@pytest.fixture
def broker() -> Iterator[Connection]:
    with Connection("memory://") as connection:
        yield connection


@pytest.fixture
def consumer(broker: Connection) -> SimpleNamespace:
    """What the step sees of a Celery consumer that sends each event at once."""
    app = Celery("tests", broker="memory://", set_as_current=False)
    dispatcher = app.events.Dispatcher(broker, buffer_group=["task"])
    dispatcher.on_send_buffered = dispatcher.flush
    return SimpleNamespace(app=app, event_dispatcher=dispatcher, timer=Timer())


@pytest.fixture
def step(consumer: SimpleNamespace) -> StartStopStep:
    task_events.install(consumer.app)
    (kind,) = consumer.app.steps["consumer"]
    step: StartStopStep = kind(consumer)
    step.start(consumer)
    return step


@pytest.fixture
def received(broker: Connection, consumer: SimpleNamespace) -> list[Any]:
    messages: list[Any] = []
    queue = Queue("tests", consumer.event_dispatcher.exchange, "#", auto_delete=True)
    channel = broker.channel()
    queue(channel).declare()
    subscriber = channel.Consumer([queue], no_ack=True)
    subscriber.register_callback(lambda body, _: messages.append(body))
    subscriber.consume()
    return messages


def arrived(broker: Connection, received: list[Any]) -> list[Any]:
    try:
        while True:
            broker.drain_events(timeout=0.05)
    except TimeoutError:
        return received


def send(consumer: SimpleNamespace, number: int) -> None:
    for job in range(number):
        consumer.event_dispatcher.send("task-received", uuid=str(job))


def test_events_are_sent_together(
    consumer: SimpleNamespace, step: StartStopStep, broker: Connection, received: list[Any]
) -> None:
    send(consumer, 30)
    assert not arrived(broker, received)
    step.timer()
    (message,) = arrived(broker, received)
    assert [event["uuid"] for event in message] == [str(job) for job in range(30)]


def test_a_worker_that_ends_sends_what_is_left(
    consumer: SimpleNamespace, step: StartStopStep, broker: Connection, received: list[Any]
) -> None:
    send(consumer, 2)
    step.shutdown(consumer)
    (message,) = arrived(broker, received)
    assert len(message) == 2
