"""uvicorn's HTTP protocol with a deadline for senders.

uvicorn waits as long as a client likes for the rest of a request, and for the first byte of a
connection: a thousand half-sent requests would take every file descriptor. It refuses requests,
not connections, where too many clients are connected.
"""

import asyncio
from typing import ClassVar, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_ARRIVED = {h11.DONE, h11.MUST_CLOSE, h11.CLOSED, h11.ERROR}


class DeadlineProtocol(H11Protocol):
    """Closes connections whose request is not whole in time: `uvicorn --http` names it.

    Where as many clients are connected as may be, it closes the oldest of them for a new client.
    """

    arrival_seconds = 10.0
    _deadline: asyncio.TimerHandle | None = None
    _expected: ClassVar[dict["DeadlineProtocol", None]] = {}
    """Connections without a whole request, the oldest first."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        limit = self.limit_concurrency
        if limit is not None and len(self.connections) >= limit and self._expected:
            oldest = next(iter(self._expected))
            oldest._cancel_deadline()
            oldest.transport.close()
            self.connections.discard(oldest)  # now, not when it is closed
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state in _ARRIVED:
            self._cancel_deadline()
        else:
            self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        super().connection_lost(exc)

    def _expect_request(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.arrival_seconds, self.transport.close)
            self._expected[self] = None

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            del self._expected[self]
