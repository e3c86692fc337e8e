"""Finds endpoints that have something to hear, and puts them into the queue of webhooks."""

from dataclasses import dataclass

from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.jobs.kinds import WEBHOOK_QUEUE
from shared.jobs.queue import JobQueue, QueuedMessages
from shared.redis.webhook_figures import WebhookFigures
from shared.timings import Timings
from shared.webhooks.deliveries import DeliveryLog
from shared.webhooks.history import DeliveryHistory

_LIMIT = 100
_LONGEST_QUEUE = 1000


@dataclass(frozen=True)
class WebhookDispatcher:
    """Run by every worker: each endpoint that has deliveries due is claimed by one.

    Every method raises ServiceUnavailableError. An endpoint whose message was lost is claimed again
    when its claim is over.
    """

    database: Database
    keyring: Keyring
    queue: JobQueue
    messages: QueuedMessages
    figures: WebhookFigures
    timings: Timings

    def dispatch(self) -> None:
        if self.messages.count(WEBHOOK_QUEUE) > _LONGEST_QUEUE:  # no worker takes them
            return
        seconds = self.timings.webhook_claim
        due = self.database.run(
            lambda session: DeliveryLog(session, self.keyring).claim_endpoints(_LIMIT, seconds)
        )
        for endpoint_id in due:
            self.queue.put_endpoint(str(endpoint_id))

    def report(self) -> None:
        """Write down for how long the oldest event has waited."""
        oldest = self.database.run(lambda session: DeliveryHistory(session).oldest_pending())
        self.figures.report_oldest(oldest)
