"""The service's address: which ones are accepted, and which of them are this machine."""

import ipaddress
from dataclasses import dataclass

import httpx

from fittrack_auth_client.errors import UsageError

_LAST_PORT = 65535


@dataclass(frozen=True)
class Server:
    """An address in its normal form, so that two can be compared. May end with a path."""

    url: str

    @classmethod
    def parse(cls, text: str) -> "Server":
        """Raises UsageError(`bad_server`)."""
        try:
            url = httpx.URL(text.strip())
        except httpx.InvalidURL:
            raise _bad("it can't be read as an address") from None
        if text.split() != [text.strip()]:
            raise _bad("there is a space in it")
        if url.scheme not in {"http", "https"} or not url.host:
            raise _bad("write it as https://host or http://host:port")
        if (url.port or 0) > _LAST_PORT:
            raise _bad("there is no such port")
        if url.userinfo or url.query or url.fragment:
            raise _bad("only a host, a port and a path can be given")
        return cls(str(url).rstrip("/"))

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

    def require_safe_for_secrets(self, *, insecure_http: bool) -> None:
        """Raises UsageError(`insecure_server`) where a secret would travel in the clear."""
        if self.is_plain and not self.is_this_machine and not insecure_http:
            raise UsageError(self.url, code="insecure_server")


def _bad(message: str) -> UsageError:
    return UsageError(message, code="bad_server")
