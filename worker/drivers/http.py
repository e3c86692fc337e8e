"""The one pooled connection adapter of the process, for everything that goes through requests.

It keeps the job's deadline over the whole answer (requests' own timeout starts anew with every
byte), never sleeps on a Retry-After, and never sends a request again that may have been seen,
but for the OAuth2 exchange, which may be repeated and would otherwise cost the person another
sign-in.
"""

import time
from collections.abc import Mapping
from typing import Any

import requests
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter, Retry
from urllib3.exceptions import HTTPError

from shared.timings import PRODUCTION, Timings
from worker.lease import checkpoint

_LARGEST_BODY = 4 * 1024 * 1024
_POOL = 512
_REPEATABLE = "/oauth-service/oauth/exchange/user/2.0"
_REPEATS = 2


class GarminAdapter(HTTPAdapter):
    """Safe to share between sessions and threads: cookies live in the sessions."""

    def __init__(self, timings: Timings = PRODUCTION) -> None:
        self.timings = timings
        never_sent = Retry(
            total=None, connect=2, read=0, redirect=0, status=0, other=0, backoff_factor=0.2
        )
        super().__init__(max_retries=never_sent, pool_connections=16, pool_maxsize=_POOL)

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,  # noqa: ANN401 - the library's signature; ours replaces it
        verify: bool | str = True,
        cert: Any = None,  # noqa: ANN401
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Sends, and reads the whole answer. Raises also TimedOutError and JobLostError."""
        repeats = _REPEATS if request.url and _REPEATABLE in request.url else 0
        for repeat in range(repeats + 1):
            try:
                response = self._send_once(request, verify, cert, proxies)
            except requests.ConnectionError:
                if repeat == repeats:
                    raise
            else:
                if response.status_code < 500 or repeat == repeats:
                    return response
            time.sleep(0.5 * (repeat + 1))
        raise AssertionError

    def _send_once(
        self,
        request: PreparedRequest,
        verify: bool | str,
        cert: Any,  # noqa: ANN401
        proxies: Mapping[str, str] | None,
    ) -> Response:
        left = checkpoint()
        longest = self.timings.garmin_answer
        seconds = longest if left is None else min(longest, left)
        ends_at = time.monotonic() + seconds
        response = super().send(
            request,
            stream=True,
            timeout=(min(self.timings.garmin_connect, seconds), seconds),
            verify=verify,
            cert=cert,
            proxies=proxies,
        )
        # What `Response.content` keeps once it has read the body; there is no public way to hand
        # it one that was read with a deadline.
        response._content = _read(response, ends_at)
        response._content_consumed = True  # type: ignore[attr-defined]
        return response


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
