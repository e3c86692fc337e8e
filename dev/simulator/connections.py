"""TCP listeners, and HTTP/1.1 (by h11) over the connections they accept."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from email.utils import formatdate
from http import HTTPStatus

import h11

from dev.simulator.messages import Delivery, Request, Response, text_response

HEAD_LIMIT = 64 * 1024
BACKLOG = 1024
Respond = Callable[[Request], Awaitable[Response]]
ConnectionHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
logger = logging.getLogger(__name__)


class Listener:
    """A port on 127.0.0.1 and its open connections."""

    def __init__(self, handle: ConnectionHandler) -> None:
        self._handle = handle
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, port: int) -> None:
        """Listen on `port`; 0 takes a free one. Raises OSError."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, backlog=BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut all open connections."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # An aborted transport closes its socket one turn later, a TLS one later still.
        for _ in range(3):
            await asyncio.sleep(0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._run(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._handle(reader, writer)
        except OSError as error:
            logger.debug("connection lost: %s", type(error).__name__)
        except Exception:
            logger.exception("the simulator failed")
        finally:
            writer.transport.abort()


class HttpConnection:
    """The server's side of one HTTP/1.1 connection.

    host: replaces the Host header of every request, for a connection through the proxy.
    drip_interval: seconds between the bytes of a dripping body.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        host: str | None = None,
        drip_interval: Callable[[], float] = lambda: 0.2,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host
        self._drip_interval = drip_interval
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)

    async def serve(self, respond: Respond) -> None:
        """Answer requests until either side ends the connection."""
        while (request := await self.receive()) is not None:
            response = await respond(request)
            if request.method == "HEAD":
                response = replace(response, body=b"")
            await self.send(response)
            if response.on_delivered is not None:
                response.on_delivered()
            if self._http.states != {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
                break
            self._http.start_next_cycle()
        await self.close()

    async def receive(self) -> Request | None:
        """Read a request; None if the client has gone. Malformed ones are answered with 400."""
        try:
            return await self._read_request()
        except h11.RemoteProtocolError as error:
            await self.send(text_response(400, str(error)))
            return None

    async def send(self, response: Response) -> None:
        """Deliver a response, or as much of it as its delivery says."""
        head, body = _head(response), response.body
        match response.delivery:
            case Delivery.WHOLE:
                await self._write(head, h11.Data(body), h11.EndOfMessage())
            case Delivery.CUT:
                self._writer.transport.abort()
            case Delivery.CUT_IN_BODY:
                await self._write(head, h11.Data(body[: len(body) // 2]))
            case Delivery.HANG:
                await self.wait_for_disconnect()
            case Delivery.HANG_IN_BODY:
                await self._write(head, h11.Data(body[: len(body) // 2]))
                await self.wait_for_disconnect()
            case Delivery.DRIP:
                await self._write(head)
                for byte in body:
                    await self._write(h11.Data(bytes([byte])))
                    await asyncio.sleep(self._drip_interval())
                await self._write(h11.EndOfMessage())

    async def accept_tunnel(self) -> None:
        """Answer a CONNECT request with success. The stream then belongs to the tunnel."""
        await self._write(
            h11.Response(status_code=200, reason=b"Connection Established", headers=[])
        )

    async def wait_for_disconnect(self) -> None:
        while await self._reader.read(HEAD_LIMIT):
            pass

    async def close(self) -> None:
        """Close in order; the listener cuts off a client that does not answer within a second."""
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await self._writer.wait_closed()

    async def _read_request(self) -> Request | None:
        head = await self._next_event()
        if not isinstance(head, h11.Request):
            return None
        body = bytearray()
        while isinstance(event := await self._next_event(), h11.Data):
            body += event.data
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        host = self._host or headers.get("host", "")
        return Request(head.method.decode(), head.target.decode(), host, headers, bytes(body))

    async def _next_event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.their_state is h11.SEND_BODY:
                self._acknowledge()
            self._http.receive_data(await self._reader.read(HEAD_LIMIT))
        return event

    def _acknowledge(self) -> None:
        # urllib3 leaves Nagle's algorithm on for proxies: a body waits until its head is
        # acknowledged, which without this takes the 40 ms of a delayed acknowledgement.
        if hasattr(socket, "TCP_QUICKACK"):
            with contextlib.suppress(OSError):
                connection = self._writer.get_extra_info("socket")
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    async def _write(self, *events: h11.Event) -> None:
        self._writer.write(b"".join(self._http.send(event) or b"" for event in events))
        await self._writer.drain()


def _head(response: Response) -> h11.Response:
    headers = [
        *response.headers,
        ("Date", formatdate(usegmt=True)),
        ("Content-Length", str(len(response.body))),
    ]
    return h11.Response(
        status_code=response.status, reason=_reason(response.status), headers=headers
    )


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
