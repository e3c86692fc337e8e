"""One request and its answer, and what is known when it fails."""

import json
import re
import ssl
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import cast

import httpx
from pydantic import SecretStr

from cli.address import Server
from cli.codes import Code
from cli.patience import seconds_of
from cli.trouble import AnswerLost, Trouble, Unreachable

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 20.0
LARGEST_ANSWER = 1 << 20

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,4096}")  # RFC 6750

# These are raised before a byte of the request is sent.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    retry_after: int | None
    location: str | None

    def data(self) -> object:
        """The JSON body. Raises `Trouble("unexpected_answer")`."""
        try:
            return cast("object", json.loads(self.body))
        except (ValueError, RecursionError):
            raise Trouble(Code.UNEXPECTED_ANSWER, detail=f"HTTP {self.status}, not JSON") from None


class Wire:
    """Sends requests to one server. Follows no redirect: they carry secrets."""

    def __init__(self, server: Server) -> None:
        self._base = server.url
        self._client = _client(server)

    def close(self) -> None:
        self._client.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        bearer: SecretStr | None = None,
        client_key: SecretStr | None = None,
        body: dict[str, str] | None = None,
        wait: int = 0,
    ) -> Reply:
        """Raises `Unreachable`, `AnswerLost`, `Trouble("tls_failed")` or `("unexpected_answer")`.

        `wait` is how many seconds the service has been asked to hold the answer back.
        """
        headers = {"Authorization": f"Bearer {_token(bearer)}"} if bearer else {}
        if client_key is not None:
            headers["X-Client-Key"] = _token(client_key)
        request = self._client.build_request(
            method,
            self._base + path,
            headers=headers,
            json=body,
            params={"wait": wait} if wait else None,
            timeout=httpx.Timeout(ANSWER_SECONDS + wait, connect=CONNECT_SECONDS),
        )
        try:
            return self._exchange(request, time.monotonic() + 2 * ANSWER_SECONDS + wait)
        except _NEVER_SENT as error:
            raise _not_sent(error) from None
        except (httpx.TransportError, httpx.StreamError):
            raise _no_answer(method) from None
        except httpx.DecodingError:
            raise Trouble(Code.UNEXPECTED_ANSWER, detail="it can't be decoded") from None

    def _exchange(self, request: httpx.Request, until: float) -> Reply:
        response = self._client.send(request, stream=True)
        try:
            return _read(response, until)
        finally:
            response.close()


def _no_answer(method: str) -> Trouble:
    """Only a submission does more the second time than the first."""
    return AnswerLost() if method == "POST" else Unreachable(detail="the connection broke")


def _token(secret: SecretStr) -> str:
    text = secret.get_secret_value()
    if not _TOKEN.fullmatch(text):
        raise Trouble(Code.BAD_INPUT, detail="a token has other characters than this one")
    return text


def _read(response: httpx.Response, until: float) -> Reply:
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > LARGEST_ANSWER:
            raise Trouble(Code.UNEXPECTED_ANSWER, detail="it is too large")
        if time.monotonic() > until:
            raise httpx.ReadTimeout("the answer comes too slowly")
    return Reply(
        status=response.status_code,
        body=bytes(body),
        retry_after=seconds_of(response.headers.get("Retry-After")),
        location=response.headers.get("Location"),
    )


def _client(server: Server) -> httpx.Client:
    """Each request has its own connection: one kept open and closed by the other side at the wrong
    moment would look like a lost answer. What is on this machine is never asked through a proxy.
    """
    try:
        return httpx.Client(
            verify=_trust(server),
            trust_env=not server.is_this_machine,
            follow_redirects=False,
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={
                "User-Agent": f"fittrack-auth/{version('fittrack-auth')}",
                "Accept": "application/json",
            },
        )
    except (ValueError, ImportError, OSError, httpx.InvalidURL) as error:
        raise Trouble(Code.BAD_ENVIRONMENT, detail=type(error).__name__) from None


def _trust(server: Server) -> ssl.SSLContext:
    """Trusts what SSL_CERT_FILE or SSL_CERT_DIR names, else the usual authorities and this
    machine's own. Where no TLS is spoken, nobody.
    """
    if server.is_plain and server.is_this_machine:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = httpx.create_ssl_context()
    context.load_default_certs()
    return context


def _not_sent(error: httpx.TransportError) -> Trouble:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return Trouble(Code.TLS_FAILED, detail=getattr(cause, "verify_message", "") or "")
        cause = cause.__cause__ or cause.__context__
    return Unreachable(detail=type(error).__name__ if _is_silence(error) else "")


def _is_silence(error: httpx.TransportError) -> bool:
    return isinstance(error, httpx.ConnectTimeout | httpx.ProxyError)
