"""What a worker tells Flower of its tasks, sent together.

Celery would send each event as soon as its loop is free, which is a message to the broker for
each, and a sixth of what a sign-in costs a worker.
"""

from typing import Any

from celery import Celery, bootsteps

_INTERVAL = 0.5
_LIMIT = 1000


class _Batched(bootsteps.StartStopStep):  # type: ignore[misc]  # untyped
    requires = ("celery.worker.consumer.events:Events",)
    timer: Any = None

    def start(self, consumer: Any) -> None:  # noqa: ANN401 - Celery's, untyped
        dispatcher = consumer.event_dispatcher
        dispatcher.on_send_buffered = None
        dispatcher.buffer_limit = _LIMIT  # no thread that runs a job has to send them
        self.timer = consumer.timer.call_repeatedly(_INTERVAL, dispatcher.flush)

    def stop(self, consumer: Any) -> None:  # noqa: ANN401, ARG002, RUF100
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def shutdown(self, consumer: Any) -> None:  # noqa: ANN401 - Celery's, untyped
        if consumer.event_dispatcher is not None:
            consumer.event_dispatcher.flush()


def install(app: Celery) -> None:
    """Send the events of tasks twice a second, from the consumer's loop."""
    app.steps["consumer"].add(_Batched)
