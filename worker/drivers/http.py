"""The one pooled connection adapter of the process, for everything that goes through requests.

It applies the job's deadline to the whole answer (requests' own timeout starts anew with every
byte), never sleeps on a Retry-After, and never repeats a request that Garmin may have seen. The
OAuth2 exchange is the exception: it may be repeated, and without it the person would have to sign
in again.
"""

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import requests
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter, HTTPAdapter, Retry
from requests.utils import get_environ_proxies, select_proxy
from tenacity import (
    Retrying,
    retry_if_exception,
    retry_if_result,
    stop_after_attempt,
    wait_incrementing,
)
from urllib3 import Timeout
from urllib3.exceptions import HTTPError, ReadTimeoutError

from shared.timings import PRODUCTION, Timings
from worker.drivers import causes
from worker.drivers.causes import Cause
from worker.drivers.connecting import POOLS, NotConnectedError
from worker.drivers.driver import Permit
from worker.drivers.observer import GarminObserver, Nobody
from worker.drivers.proxies import GarminProxies
from worker.drivers.route import Route

_LARGEST_BODY = 4 * 1024 * 1024
_HOSTS = 16
_POOL = 512
_REPEATABLE = "/oauth-service/oauth/exchange/user/2.0"
_TRIES = 3


class GarminAdapter(HTTPAdapter):
    """The pool. Safe to share between sessions and threads: cookies live in the sessions."""

    def __init__(
        self,
        timings: Timings = PRODUCTION,
        proxies: GarminProxies | None = None,
        observer: GarminObserver | None = None,
    ) -> None:
        self.timings = timings
        self.observer = observer or Nobody()
        self.proxies = proxies or GarminProxies()
        self._pools: dict[object, Any] = {}
        self._environment_proxies: dict[str, dict[str, str]] = {}
        retry = Retry(0, read=False)
        super().__init__(max_retries=retry, pool_connections=_HOSTS, pool_maxsize=_POOL)

    def route(self, driver: str, permit: Permit) -> Route:
        """Return how one call of a driver reaches Garmin."""
        proxy = self.proxies.current(driver)
        return Route(driver, permit, self.timings, proxy, self.observer)

    def session(self, route: Route) -> requests.Session:
        """Return a session for the requests of one call."""
        session = requests.Session()
        session.trust_env = False  # it would read all of the environment for each request
        session.mount("https://", self.permitted(route))
        session.mount("http://", _PlainHttp(route))
        return session

    def permitted(self, route: Route) -> "PermittedAdapter":
        """Return an adapter for the sessions of one call."""
        return PermittedAdapter(self, route)

    def environment_proxies(self, url: str) -> dict[str, str]:
        """Return what HTTPS_PROXY and NO_PROXY said at the first request to a host."""
        origin = _origin(url)
        if origin not in self._environment_proxies:
            if len(self._environment_proxies) >= _HOSTS:  # redirects may lead to any number
                self._environment_proxies.clear()
            self._environment_proxies[origin] = get_environ_proxies(url)
        return self._environment_proxies[origin]

    def get_connection_with_tls_context(
        self,
        request: PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: Any = None,  # noqa: ANN401 - the library's
    ) -> Any:  # noqa: ANN401
        """Remember each host's pool: the library's way to it costs a fifth of sending."""
        url = request.url or ""
        key = (_origin(url), verify, cert, select_proxy(url, proxies))
        pool = self._pools.get(key)
        if pool is None or pool.pool is None:  # closed
            if len(self._pools) >= _HOSTS:
                self._pools.clear()
            pool = self._pools[key] = super().get_connection_with_tls_context(
                request, verify, proxies, cert
            )
        return pool

    def close(self) -> None:
        for pool in list(self._pools.values()):
            pool.close()
        self._pools.clear()
        super().close()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the library's
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager


class PermittedAdapter(BaseAdapter):
    """Send requests through the pool while the permit allows it."""

    def __init__(self, pool: GarminAdapter, route: Route) -> None:
        super().__init__()
        self.route = route
        self._pool = pool

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,  # noqa: ANN401 - the library's signature; ours replaces it
        verify: bool | str = True,
        cert: Any = None,  # noqa: ANN401
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Send, and read the whole answer.

        Raises GarminUnreachableError and GarminUnavailableError, which passes through requests and
        what is built on it, and what the permit raises.
        """
        if self.route.proxy:
            url = self.route.proxy.url.get_secret_value()
            proxies = {"http": url, "https": url}
        elif not proxies:
            proxies = self._pool.environment_proxies(request.url or "")
        if verify is True:
            verify = _authorities()
        once = partial(self._send_once, request, verify, cert, proxies)
        if _REPEATABLE not in (request.url or ""):
            return once()
        return self._exchange_retries()(once)

    def close(self) -> None:
        """Leave the pool open: other jobs use it."""

    def _exchange_retries(self) -> Retrying:
        """Repeat what was cut off or got a 5xx, at most twice, then return the last answer."""
        pause = self.route.timings.garmin_retry
        return Retrying(
            stop=stop_after_attempt(_TRIES),
            wait=wait_incrementing(pause, pause),
            retry=retry_if_exception(lambda error: self.route.cause is causes.CUT_OFF)
            | retry_if_result(lambda response: response.status_code >= 500),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )

    def _send_once(
        self,
        request: PreparedRequest,
        verify: bool | str,
        cert: Any,  # noqa: ANN401
        proxies: Mapping[str, str] | None,
    ) -> Response:
        connecting, whole = self.route.limits()
        ends_at = time.monotonic() + whole
        method, url = request.method or "", request.url or ""
        try:
            send = partial(
                self._pool.send,
                request,
                stream=True,
                timeout=cast("float", Timeout(connect=connecting, total=whole)),
                verify=verify,
                cert=cert,
                proxies=proxies,
            )
            response = _connected(send, self.route.timings.garmin_retry)
            # What `Response.content` keeps once it has read the body; there is no public way to
            # hand it one that was read with a deadline.
            response._content = _read(response, ends_at)
            response._content_consumed = True  # type: ignore[attr-defined]
        except NotConnectedError as failure:
            cause = failure.cause
        except _BrokenBodyError as failure:
            cause = failure.cause
        except requests.ReadTimeout:
            cause = causes.ANSWER_TIMEOUT
        except requests.RequestException:
            cause = causes.CUT_OFF
        except OSError:  # how requests says that there is no file REQUESTS_CA_BUNDLE
            cause = causes.AUTHORITIES
        else:
            self.route.answered(method, url, response)
            return response
        raise self.route.failed(method, url, cause) from None


class _PlainHttp(BaseAdapter):
    """Send nothing: only a redirect could lead here, and it would lay the sign-in open."""

    def __init__(self, route: Route) -> None:
        super().__init__()
        self._route = route

    def send(self, request: PreparedRequest, *_: object, **__: object) -> Response:
        raise self._route.failed(request.method or "", request.url or "", causes.NOT_HTTPS)

    def close(self) -> None: ...


def _origin(url: str) -> str:
    return url[: url.find("/", len("https://"))]


def _authorities() -> bool | str:
    """Return the file of certificate authorities that the environment names, as requests does."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True


def _connected(send: Callable[[], Response], pause: float) -> Response:
    """Send; repeat what did not reach Garmin, unless that took long.

    A loop: what goes well most of the time is not worth what tenacity takes to watch it.
    """
    for _ in range(_TRIES - 1):
        try:
            return send()
        except NotConnectedError as error:
            if error.cause is causes.CONNECT_TIMEOUT:
                raise
            time.sleep(pause)
    return send()


class _BrokenBodyError(Exception):
    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.text)
        self.cause = cause


def _read(response: Response, ends_at: float) -> bytes:
    body = bytearray()
    try:
        while chunk := response.raw.read1(65_536, decode_content=True):
            body += chunk
            if len(body) > _LARGEST_BODY:
                raise _BrokenBodyError(causes.TOO_LARGE)
            if time.monotonic() > ends_at:
                raise _BrokenBodyError(causes.BODY_TIMEOUT)
    except ReadTimeoutError:
        response.raw.close()
        raise _BrokenBodyError(causes.BODY_TIMEOUT) from None
    except (HTTPError, OSError):
        response.raw.close()
        raise _BrokenBodyError(causes.CUT_OFF) from None
    except _BrokenBodyError:
        response.raw.close()
        raise
    response.raw.release_conn()
    return bytes(body)
