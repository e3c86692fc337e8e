"""An app's receiver of webhooks: it verifies, applies each id once, and answers as it is told."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

Reply = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes
    path: str

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


@dataclass
class Receiver:
    """`secret` verifies what comes. `reply` answers it; by default with 204."""

    port: int = 0
    secret: str | None = None
    reply: Reply | None = None
    received: list[Received] = field(default_factory=list)
    applied: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?from=fittrack"

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"]))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        one = Received(headers, body, handler.path)
        if self.secret is not None:
            Webhook(self.secret).verify(body, headers)
        self.received.append(one)
        if self.reply is not None:
            self.reply(handler)
            return
        self.applied.setdefault(one.id, one.event)
        answer(204)(handler)

    def types(self) -> list[str]:
        """Return the types of what was applied, in order."""
        return [event["type"] for event in self.applied.values()]


def answer(status: int, **headers: str) -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return reply


@contextmanager
def receiving(
    receiver: Receiver | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """Listen, at the receiver's port if it has one."""
    app = receiver or Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            app.take(self)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            pass  # a sender that hangs up

    with Server(("127.0.0.1", app.port), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        app.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield app
        finally:
            server.shutdown()
            thread.join()
