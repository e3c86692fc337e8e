"""One try to deliver one event, over HTTP."""

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import SplitResult

import httpx

from shared.timings import Timings
from shared.webhooks.addresses import Address, check, parse_url, resolve
from shared.webhooks.errors import AddressRefusedError, InvalidWebhookUrlError
from shared.webhooks.events import WebhookEvent
from shared.webhooks.results import Answer
from shared.webhooks.signing import WebhookSecrets
from worker.drivers.answers import parse_retry_after

_RESOLVERS = 32
_USER_AGENT = "FitTrack-Auth-Webhooks/1.0"


class Sender:
    """Used within one event loop.

    A host is resolved once for each try, and the addresses that were judged are those that are
    used. Of an answer only its head is read. No proxy, cookie or redirect is followed.
    """

    def __init__(self, timings: Timings) -> None:
        self._timings = timings
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, "webhook-names")
        self._transport = httpx.AsyncHTTPTransport(
            verify=httpx.create_ssl_context(),
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def send(self, url: str, secrets: WebhookSecrets, event: WebhookEvent) -> Answer:
        """Return how the receiver answered, or why it did not, within the time for one answer."""
        body = event.body()
        headers = secrets.headers(event, body) | {
            "content-type": "application/json",
            "user-agent": _USER_AGENT,
            "connection": "close",
        }
        try:
            async with asyncio.timeout(self._timings.webhook_answer):
                return await self._send(parse_url(url), headers, body.encode())
        except (TimeoutError, httpx.TimeoutException):
            return Answer("timeout")
        except (AddressRefusedError, InvalidWebhookUrlError, httpx.InvalidURL):
            return Answer("address_refused")
        except httpx.ConnectError as error:
            return Answer("tls_failed" if _is_about_tls(error) else "not_connected")
        except httpx.HTTPError:
            return Answer("no_answer")

    async def _send(self, parts: SplitResult, headers: dict[str, str], body: bytes) -> Answer:
        loop = asyncio.get_running_loop()
        try:
            addresses = await loop.run_in_executor(self._resolvers, resolve, parts)
        except OSError:
            return Answer("name_unknown")
        check(parts, addresses)
        for address in addresses[:-1]:
            try:
                return await self._post(parts, address, headers, body)
            except (httpx.ConnectError, httpx.ConnectTimeout):  # nothing was sent
                continue
        return await self._post(parts, addresses[-1], headers, body)

    async def _post(
        self, parts: SplitResult, address: Address, headers: dict[str, str], body: bytes
    ) -> Answer:
        timeout = httpx.Timeout(self._timings.webhook_answer, connect=self._timings.webhook_connect)
        request = httpx.Request(
            "POST",
            httpx.URL(parts.geturl()).copy_with(host=str(address)),
            headers=headers | {"host": parts.netloc},
            content=body,
            extensions={"timeout": timeout.as_dict(), "sni_hostname": parts.hostname},
        )
        response = await self._transport.handle_async_request(request)
        await response.aclose()
        retry_after = parse_retry_after(response.headers.get("retry-after"))
        return Answer(str(response.status_code), retry_after)


def _is_about_tls(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
