"""The Celery task of webhooks: an endpoint's id in, and no thread kept while it is served."""

import uuid
from collections.abc import Callable

from celery import Celery, Task

from shared.jobs.kinds import WEBHOOK_TASK


class WebhookTask(Task):  # type: ignore[misc]  # untyped
    """`serve` is `Courier.serve`. A message of another make has no endpoint's id."""

    name = WEBHOOK_TASK
    max_retries = 0

    def __init__(self, serve: Callable[[uuid.UUID], object]) -> None:
        self._serve = serve

    def run(self, endpoint_id: str) -> str:
        try:
            self._serve(uuid.UUID(endpoint_id))
        except ValueError:
            return "no endpoint"
        return "served"


def register(app: Celery, serve: Callable[[uuid.UUID], object]) -> None:
    app.register_task(WebhookTask(serve))
