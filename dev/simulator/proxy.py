"""The HTTP CONNECT proxy: the only way in. It refuses every host that is not simulated."""

import asyncio
import ssl

from dev.simulator.connections import HttpConnection, Listener
from dev.simulator.messages import Request, Response, text_response
from dev.simulator.routes import HOSTS, latency, respond
from dev.simulator.settings import FaultKind
from dev.simulator.state import State


class Proxy:
    """Accept `CONNECT host:443`, then speak TLS as that host."""

    def __init__(self, state: State, context: ssl.SSLContext) -> None:
        self._state = state
        self._context = context
        self.listener = Listener(self._serve)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tunnel = HttpConnection(reader, writer)
        request = await tunnel.receive()
        if request is None:
            return
        host, _, port = request.target.lower().rpartition(":")
        if request.method != "CONNECT" or host not in HOSTS or port != "443":
            await tunnel.send(text_response(403, f"{request.target} is not simulated\n"))
            await tunnel.close()
            return
        fault = self._state.faults.next_for_connect(host)
        if fault is not None:
            self._state.count("faults")
            if fault.kind is FaultKind.HANG_CONNECT:
                await tunnel.wait_for_disconnect()
            return
        await tunnel.accept_tunnel()
        await writer.start_tls(self._context, ssl_shutdown_timeout=1)
        connection = HttpConnection(reader, writer, host=host, drip_interval=self._drip_interval)
        await connection.serve(self._respond)

    async def _respond(self, request: Request) -> Response:
        # Respond before waiting, so that counters show a request as soon as it has arrived.
        response = respond(self._state, request)
        wait = latency(self._state, request)
        if wait > 0:
            await asyncio.sleep(wait)
        return response

    def _drip_interval(self) -> float:
        return self._state.settings.drip_interval_ms / 1000
