"""The one pooled connection adapter of the process, for everything that goes through requests.

It applies the job's deadline to the whole answer (requests' own timeout starts anew with every
byte), never sleeps on a Retry-After, and never repeats a request that Garmin may have seen. The
OAuth2 exchange is the exception: it may be repeated, and without it the person would have to sign
in again.
"""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import requests
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter, HTTPAdapter, Retry
from tenacity import (
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    wait_incrementing,
)
from urllib3.exceptions import HTTPError

from shared.timings import PRODUCTION, Timings
from worker.drivers.driver import Permit

_LARGEST_BODY = 4 * 1024 * 1024
_POOL = 512
_REPEATABLE = "/oauth-service/oauth/exchange/user/2.0"


class GarminAdapter(HTTPAdapter):
    """The pool. Safe to share between sessions and threads: cookies live in the sessions."""

    def __init__(self, timings: Timings = PRODUCTION) -> None:
        self.timings = timings
        never_sent = Retry(
            total=None, connect=2, read=0, redirect=0, status=0, other=0, backoff_factor=0.2
        )
        super().__init__(max_retries=never_sent, pool_connections=16, pool_maxsize=_POOL)

    def session(self, permit: Permit) -> requests.Session:
        """Return a session for the requests of one job."""
        session = requests.Session()
        session.mount("https://", self.permitted(permit))
        return session

    def permitted(self, permit: Permit) -> "PermittedAdapter":
        """Return an adapter for the sessions of one job."""
        return PermittedAdapter(self, permit)


class PermittedAdapter(BaseAdapter):
    """Send requests through the pool while the permit allows it."""

    def __init__(self, pool: GarminAdapter, permit: Permit) -> None:
        super().__init__()
        self._pool = pool
        self._permit = permit

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,  # noqa: ANN401 - the library's signature; ours replaces it
        verify: bool | str = True,
        cert: Any = None,  # noqa: ANN401
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Send, and read the whole answer. Raises also TimedOutError and JobLostError."""
        once = partial(self._send_once, request, verify, cert, proxies)
        if _REPEATABLE not in (request.url or ""):
            return once()
        return _exchange_retries(self._pool.timings.garmin_retry)(once)

    def close(self) -> None:
        """Leave the pool open: other jobs use it."""

    def _send_once(
        self,
        request: PreparedRequest,
        verify: bool | str,
        cert: Any,  # noqa: ANN401
        proxies: Mapping[str, str] | None,
    ) -> Response:
        timings = self._pool.timings
        left = self._permit.check()
        seconds = timings.garmin_answer if left is None else min(timings.garmin_answer, left)
        ends_at = time.monotonic() + seconds
        response = self._pool.send(
            request,
            stream=True,
            timeout=(min(timings.garmin_connect, seconds), seconds),
            verify=verify,
            cert=cert,
            proxies=proxies,
        )
        # What `Response.content` keeps once it has read the body; there is no public way to hand
        # it one that was read with a deadline.
        response._content = _read(response, ends_at)
        response._content_consumed = True  # type: ignore[attr-defined]
        return response


def _exchange_retries(pause: float) -> Retrying:
    """Repeat what got no answer or a 5xx, at most twice, then return the last answer."""
    return Retrying(
        stop=stop_after_attempt(3),
        wait=wait_incrementing(pause, pause),
        retry=retry_if_exception_type(requests.ConnectionError)
        | retry_if_result(lambda response: response.status_code >= 500),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )


def _read(response: Response, ends_at: float) -> bytes:
    body = bytearray()
    try:
        while chunk := response.raw.read1(65_536, decode_content=True):
            body += chunk
            if len(body) > _LARGEST_BODY or time.monotonic() > ends_at:
                response.raw.close()
                raise requests.exceptions.ReadTimeout
    except (HTTPError, OSError) as error:
        response.raw.close()
        if isinstance(error, requests.RequestException):
            raise
        raise requests.exceptions.ConnectionError from None
    response.raw.release_conn()
    return bytes(body)
