"""Servers that break in one way each, and a proxy that wants a password."""

import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

Handle = Callable[[socket.socket], None]


@dataclass
class Servers:
    """Listeners on 127.0.0.1, each connection with a thread, while the `with` block lasts."""

    folder: Path
    authority: trustme.CA = field(default_factory=trustme.CA)
    stopping: threading.Event = field(default_factory=threading.Event)
    _listeners: list[socket.socket] = field(default_factory=list)
    _connections: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def ca_file(self) -> str:
        path = self.folder / "ca.pem"
        self.authority.cert_pem.write_to_path(path)
        return str(path)

    def start(self, handle: Handle, certificate: trustme.LeafCert | None = None) -> int:
        """Return the port of a server that treats each connection so."""
        listener = socket.create_server(("127.0.0.1", 0))
        self._listeners.append(listener)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        if certificate and context:
            certificate.configure_cert(context)
        self._run(lambda: self._accept(listener, handle, context))
        return int(listener.getsockname()[1])

    def hang(self, connection: socket.socket) -> None:
        self.stopping.wait(30)

    def hang_after_request(self, connection: socket.socket) -> None:
        connection.recv(65_536)
        self.stopping.wait(30)

    def stop(self) -> None:
        self.stopping.set()
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(30)

    def _run(self, target: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=target, daemon=True))
        self._threads[-1].start()

    def _accept(
        self, listener: socket.socket, handle: Handle, context: ssl.SSLContext | None
    ) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._run(lambda accepted=connection: self._serve(accepted, handle, context))  # type: ignore[misc]

    def _serve(
        self, connection: socket.socket, handle: Handle, context: ssl.SSLContext | None
    ) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(30)
            if context is None:
                handle(connection)
            else:
                with context.wrap_socket(connection, server_side=True) as wrapped:
                    handle(wrapped)


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    running = Servers(folder)
    try:
        yield running
    finally:
        running.stop()


def expired(authority: trustme.CA, host: str) -> trustme.LeafCert:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return authority.issue_cert(host, not_before=yesterday - timedelta(9), not_after=yesterday)


def cut(connection: socket.socket) -> None:
    """Close after the request."""
    connection.recv(65_536)


def answer(head: str) -> Handle:
    def handle(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(f"HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n".encode())

    return handle


@dataclass
class PasswordProxy:
    """Passes tunnels on to the simulator's proxy, for those who know the password."""

    target: str
    credentials: str
    tunnels: int = 0
    refused: int = 0

    def handle(self, connection: socket.socket) -> None:
        head = connection.recv(65_536)
        expected = base64.b64encode(self.credentials.encode())
        if b"Proxy-Authorization: Basic " + expected not in head:
            self.refused += 1
            connection.sendall(
                b"HTTP/1.1 407 Authenticate\r\nProxy-Authenticate: Basic\r\n"
                b"Content-Length: 0\r\nConnection: close\r\n\r\n"
            )
            return
        self.tunnels += 1
        host, _, port = self.target.rpartition("/")[2].partition(":")
        with socket.create_connection((host, int(port)), timeout=30) as onward:
            onward.sendall(head)
            back = threading.Thread(target=_copy, args=(onward, connection), daemon=True)
            back.start()
            _copy(connection, onward)
            back.join(30)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
