"""The server's address: which ones are accepted, and which of them are this machine."""

import ipaddress
from dataclasses import dataclass

import httpx

from cli.codes import Code
from cli.trouble import Trouble

DEFAULT_SERVER = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Server:
    """An address in one spelling, so that two can be compared. May have a path in front."""

    url: str

    @property
    def is_this_machine(self) -> bool:
        host = httpx.URL(self.url).host
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    @property
    def is_plain(self) -> bool:
        return self.url.startswith("http://")

    @property
    def path(self) -> str:
        return httpx.URL(self.url).path.rstrip("/")


def parse_server(text: str) -> Server:
    """Raises `Trouble("bad_server")`."""
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL:
        raise Trouble(Code.BAD_SERVER, detail="it can't be read as an address") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise Trouble(Code.BAD_SERVER, detail="write it as https://host or http://host:port")
    if url.userinfo or url.query or url.fragment:
        raise Trouble(Code.BAD_SERVER, detail="only a host, a port and a path can be given")
    return Server(str(url).rstrip("/"))


def safe_for_secrets(server: Server, *, insecure_http: bool) -> Server:
    """Raises `Trouble("insecure_server")` where a secret would travel unprotected."""
    if server.is_plain and not server.is_this_machine and not insecure_http:
        raise Trouble(Code.INSECURE_SERVER, detail=server.url)
    return server
