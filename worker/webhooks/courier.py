"""Delivers webhooks, in a thread of its own.

A receiver that is slow or dead keeps none of the threads that run jobs. All receivers are waited
for at once, in one event loop, with a bounded number of deliveries for each.
"""

import asyncio
import logging
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress

from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.errors import SealBrokenError, ServiceUnavailableError
from shared.logs.locations import where
from shared.redis.webhook_figures import WebhookFigures
from shared.timings import Timings
from shared.webhooks.deliveries import Batch, Claimed, DeliveryLog
from shared.webhooks.results import Answer

_log = logging.getLogger(__name__)

_AT_ONCE = 4
"""Deliveries to one endpoint."""

_ENDPOINTS_AT_ONCE = 100
_DATABASE_THREADS = 4


class Courier:
    """One for a worker process. Nothing is loaded, and no thread runs, before it is needed."""

    def __init__(
        self, database: Database, keyring: Keyring, figures: WebhookFigures, timings: Timings
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._figures = figures
        self._timings = timings
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._served: dict[uuid.UUID, Future[None]] = {}
        self._is_stopping = False

    def serve(self, endpoint_id: uuid.UUID) -> "Future[None]":
        """Begin to deliver what is due for an endpoint. Return at once."""
        with self._lock:
            if self._loop is None:
                self._loop = self._started()
            if endpoint_id not in self._served:
                work = self._serve(endpoint_id)
                self._served[endpoint_id] = asyncio.run_coroutine_threadsafe(work, self._loop)
            return self._served[endpoint_id]

    def stop(self) -> None:
        """Begin no more deliveries, and wait for those that have begun."""
        with self._lock:
            self._is_stopping = True
            served = list(self._served.values())
        is_unfinished = wait(served, self._timings.webhook_answer).not_done
        if self._loop is None or is_unfinished:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._in_database.shutdown()

    def _started(self) -> asyncio.AbstractEventLoop:
        from worker.webhooks.sender import Sender

        loop = asyncio.new_event_loop()
        self._sender = Sender(self._timings)
        self._in_database = ThreadPoolExecutor(_DATABASE_THREADS, "webhook-database")
        self._places = asyncio.Semaphore(_ENDPOINTS_AT_ONCE)
        self._thread = threading.Thread(target=loop.run_forever, name="webhooks", daemon=True)
        self._thread.start()
        return loop

    async def _serve(self, endpoint_id: uuid.UUID) -> None:
        until = asyncio.get_running_loop().time() + self._timings.webhook_claim
        try:
            async with self._places:
                while batch := await self._claim(endpoint_id, until):
                    deliveries = (self._deliver(batch, one) for one in batch.deliveries)
                    await asyncio.gather(*deliveries)
        except ServiceUnavailableError:
            _log.warning("webhooks wait: the database does not answer")
        except SealBrokenError:
            _log.error("endpoint %s: the secrets do not open", endpoint_id)  # noqa: TRY400, RUF100
        except Exception as error:  # the endpoint is served again when its claim is over
            _log.error("endpoint %s: bug: %s", endpoint_id, where(error))  # noqa: TRY400, RUF100
        finally:
            with self._lock:
                self._served.pop(endpoint_id, None)

    async def _claim(self, endpoint_id: uuid.UUID, until: float) -> Batch | None:
        """Return what to deliver next; None if it is somebody else's turn, or nothing is due."""
        seconds = self._timings.webhook_claim
        if self._is_stopping or asyncio.get_running_loop().time() > until:
            await self._run(lambda log: log.release(endpoint_id))
            return None
        return await self._run(lambda log: log.claim(endpoint_id, _AT_ONCE, seconds))

    async def _deliver(self, batch: Batch, claimed: Claimed) -> None:
        """Make a delivery and note its answer, while the claim lasts.

        If nobody gets to know of the answer, it is delivered again, under the same id.
        """
        answer = await self._send(batch, claimed)
        until = asyncio.get_running_loop().time() + self._timings.webhook_claim
        while asyncio.get_running_loop().time() < until:
            try:
                await self._note(claimed, answer)
            except ServiceUnavailableError:
                await asyncio.sleep(self._timings.webhook_interval)
            else:
                return

    async def _send(self, batch: Batch, claimed: Claimed) -> Answer:
        try:
            return await self._sender.send(batch.url, batch.secrets, claimed.event)
        except Exception as error:  # counts as a try, of which there are not many
            _log.error("webhook %s: bug: %s", claimed.event.message_id, where(error))  # noqa: TRY400, RUF100
            return Answer("internal_error")

    async def _note(self, claimed: Claimed, answer: Answer) -> None:
        result = await self._run(lambda log: log.note(claimed, answer))
        if result is None:
            return
        _log.info("webhook %s: %s (%s)", claimed.event.message_id, result, answer.text)
        await asyncio.get_running_loop().run_in_executor(self._in_database, self._count, result)

    def _count(self, result: str) -> None:
        with suppress(ServiceUnavailableError):
            self._figures.count(result)

    async def _run[T](self, work: Callable[[DeliveryLog], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._in_database,
            lambda: self._database.run(lambda session: work(DeliveryLog(session, self._keyring))),
        )
