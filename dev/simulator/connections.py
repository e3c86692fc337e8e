"""One connection after the other: requests read, latency waited, responses delivered or not."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable

from dev.simulator.messages import (
    BadRequestError,
    Delivery,
    Request,
    Response,
    read_request,
    text_response,
)

HEAD_LIMIT = 64 * 1024
BACKLOG = 1024
Answer = Callable[[Request], Awaitable[Response]]
Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
logger = logging.getLogger(__name__)


class Listener:
    """A port on 127.0.0.1 and the connections that came in through it."""

    def __init__(self, converse: Conversation) -> None:
        self._converse = converse
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, port: int) -> None:
        """port: 0 takes a free one."""
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", port, limit=HEAD_LIMIT, backlog=BACKLOG
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A transport closes its socket in the turn after it was aborted, TLS one later still.
        for _ in range(3):
            await asyncio.sleep(0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._run(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
        except (OSError, BadRequestError) as error:
            logger.debug("connection ended: %s", type(error).__name__)
        except Exception:
            logger.exception("the simulator failed")
        finally:
            writer.transport.abort()


async def converse(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answer: Answer,
    *,
    host: str | None = None,
    drip_interval_s: Callable[[], float] = lambda: 0.2,
) -> None:
    """Answer requests until the client goes or a delivery ends the connection."""
    while True:
        try:
            request = await read_request(reader, host, acknowledge=lambda: _acknowledge(writer))
        except BadRequestError as error:
            writer.write(_rendered(text_response(400, str(error))))
            await writer.drain()
            break
        if request is None:
            break
        response = await answer(request)
        goes_on = await _deliver(reader, writer, response, drip_interval_s)
        if not goes_on or request.headers.get("connection", "").lower() == "close":
            break
    await close(writer)


async def close(writer: asyncio.StreamWriter) -> None:
    """Say goodbye in order; whoever does not answer is cut off by the listener."""
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()


async def _deliver(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    response: Response,
    drip_interval_s: Callable[[], float],
) -> bool:
    """Deliver one response; False where the connection ends with it."""
    half = len(response.body) // 2
    match response.delivery:
        case Delivery.WHOLE:
            writer.write(_rendered(response))
            await writer.drain()
            return True
        case Delivery.HANG:
            await _wait_for_goodbye(reader)
        case Delivery.HANG_IN_BODY:
            writer.write(response.head() + response.body[:half])
            await writer.drain()
            await _wait_for_goodbye(reader)
        case Delivery.CUT_IN_BODY:
            writer.write(response.head() + response.body[:half])
            await writer.drain()
            await close(writer)
        case Delivery.CUT:
            writer.transport.abort()
        case Delivery.DRIP:
            writer.write(response.head())
            for index in range(len(response.body)):
                writer.write(response.body[index : index + 1])
                await writer.drain()
                await asyncio.sleep(drip_interval_s())
            return True
    return False


def _acknowledge(writer: asyncio.StreamWriter) -> None:
    # urllib3 lets Nagle's algorithm on for proxies: a body waits until its head is acknowledged,
    # which without this takes the 40 ms of a delayed acknowledgement.
    if hasattr(socket, "TCP_QUICKACK"):
        with contextlib.suppress(OSError):
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _rendered(response: Response) -> bytes:
    return response.head() + response.body


async def _wait_for_goodbye(reader: asyncio.StreamReader) -> None:
    while await reader.read(HEAD_LIMIT):
        pass
