"""urllib3's connections, which say whether the connection or the answer has failed.

By itself urllib3 raises the same errors for a server that hangs in the TLS handshake, a proxy that
hangs up, and a request whose answer got lost.
"""

from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from worker.drivers import causes
from worker.drivers.causes import Cause


class NotConnectedError(Exception):
    """No connection came about: nothing was sent. Passes through urllib3 and requests as it is."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.text)
        self.cause = cause


class _Connecting:
    """Mixed into both kinds of connections."""

    def connect(self) -> None:
        proxied = bool(getattr(self, "proxy", None))
        try:
            super().connect()  # type: ignore[misc]
        except Exception as error:
            raise NotConnectedError(causes.of_connecting(error, proxied=proxied)) from None


class _HTTPConnection(_Connecting, HTTPConnection):
    pass


class _HTTPSConnection(_Connecting, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


POOLS: dict[str, Any] = {"http": _HTTPPool, "https": _HTTPSPool}
