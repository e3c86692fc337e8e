"""The proxy and the control endpoint in one event loop, and their addresses."""

import asyncio
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from dev.simulator import certificates
from dev.simulator.connections import HttpConnection, Listener
from dev.simulator.control import Control, respond
from dev.simulator.proxy import Proxy
from dev.simulator.routes import HOSTS
from dev.simulator.settings import Settings
from dev.simulator.state import State


@dataclass(frozen=True)
class Addresses:
    """The addresses of a running simulator."""

    proxy_url: str
    control_url: str
    ca_file: str

    def environment(self) -> dict[str, str]:
        """Variables that make requests, curl and httpx use the simulator and trust it alone."""
        local = "127.0.0.1,localhost"
        return {
            "HTTPS_PROXY": self.proxy_url,
            "https_proxy": self.proxy_url,
            "NO_PROXY": local,
            "no_proxy": local,
            "REQUESTS_CA_BUNDLE": self.ca_file,
            "CURL_CA_BUNDLE": self.ca_file,
            "SSL_CERT_FILE": self.ca_file,
        }

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


class Server:
    """The proxy and the control endpoint. Start and stop it in the same event loop."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self._directory = directory.resolve()
        state = State(settings)
        self.control = Control(state)
        self._proxy = Proxy(state, certificates.server_context(directory, HOSTS))
        self._control_listener = Listener(self._serve_control)

    async def start(self, port: int = 0, control_port: int = 0) -> Addresses:
        await self._proxy.listener.start(port)
        await self._control_listener.start(control_port)
        return Addresses(
            f"http://127.0.0.1:{self._proxy.listener.port}",
            f"http://127.0.0.1:{self._control_listener.port}",
            str(self._directory / certificates.CA_FILE),
        )

    async def stop(self) -> None:
        await self._proxy.listener.stop()
        await self._control_listener.stop()

    async def _serve_control(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await HttpConnection(reader, writer).serve(partial(respond, self.control))
