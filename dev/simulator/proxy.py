"""The HTTP CONNECT proxy: the one way in, and a dead end for every host that is not simulated."""

import asyncio
import ssl

from dev.simulator.connections import HttpConnection, Listener
from dev.simulator.messages import Request, Response, text_response
from dev.simulator.routes import HOSTS, answer, latency
from dev.simulator.settings import FaultKind
from dev.simulator.world import World


class Proxy:
    """Accepts `CONNECT host:443`, then speaks TLS as that host."""

    def __init__(self, world: World, context: ssl.SSLContext) -> None:
        self._world = world
        self._context = context
        self.listener = Listener(self._serve)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        outside = HttpConnection(reader, writer)
        request = await outside.receive()
        if request is None:
            return
        host, _, port = request.target.lower().rpartition(":")
        if request.method != "CONNECT" or host not in HOSTS or port != "443":
            await outside.send(text_response(403, f"{request.target} is not simulated\n"))
            await outside.close()
            return
        fault = self._world.faults.meet_connect(host)
        if fault is not None:
            self._world.count("faults")
            if fault.kind is FaultKind.HANG_CONNECT:
                await outside.wait_for_disconnect()
            return
        await outside.accept_tunnel()
        await writer.start_tls(self._context, ssl_shutdown_timeout=1)
        inside = HttpConnection(reader, writer, host=host, drip_interval=self._drip_interval)
        await inside.serve(self._respond)

    async def _respond(self, request: Request) -> Response:
        # First the work, then the wait: counters tell at once what has reached this Garmin.
        response = answer(self._world, request)
        wait = latency(self._world, request)
        if wait > 0:
            await asyncio.sleep(wait)
        return response

    def _drip_interval(self) -> float:
        return self._world.settings.drip_interval_ms / 1000
