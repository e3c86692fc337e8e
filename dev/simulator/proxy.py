"""The HTTP CONNECT proxy: the one way in, and a dead end for every host that is not simulated."""

import asyncio
import ssl

from dev.simulator.connections import Listener, close, converse
from dev.simulator.messages import Request, Response, read_request, text_response
from dev.simulator.routes import HOSTS, answer, latency
from dev.simulator.settings import FaultKind
from dev.simulator.world import World


class Proxy:
    """Accepts `CONNECT host:443`, then speaks TLS as that host."""

    def __init__(self, world: World, context: ssl.SSLContext) -> None:
        self._world = world
        self._context = context
        self.listener = Listener(self._converse)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        if request is None:
            return
        host, _, port = request.target.rpartition(":")
        host = host.lower()
        if request.method != "CONNECT" or host not in HOSTS or port != "443":
            refusal = text_response(403, f"{request.target} is not simulated\n")
            writer.write(refusal.head() + refusal.body)
            await writer.drain()
            await close(writer)
            return
        fault = self._world.faults.meet_connect(host)
        if fault is not None:
            self._world.count("faults")
            if fault.kind is FaultKind.HANG_CONNECT:
                await reader.read()
            return
        writer.write(b"HTTP/1.1 200 Connection Established\r\n\r\n")
        await writer.start_tls(self._context, ssl_shutdown_timeout=1)
        await converse(reader, writer, self._answer, host=host, drip_interval_s=self._drip)

    async def _answer(self, request: Request) -> Response:
        # First the work, then the wait: counters tell at once what has reached this Garmin.
        response = answer(self._world, request)
        wait = latency(self._world, request)
        if wait > 0:
            await asyncio.sleep(wait)
        return response

    def _drip(self) -> float:
        return self._world.settings.drip_interval_ms / 1000
