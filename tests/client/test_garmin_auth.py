"""Requests to Garmin with httpx and requests, whose tokens come from the service."""

import asyncio
import hashlib
import io
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import httpx
import pytest
import requests

from fittrack_auth_client import (
    AsyncFitTrackAuth,
    FitTrackAuth,
    SignInRequiredError,
    UsageError,
    garmin_auth,
)
from tests.client.stand_in import Answer, StandIn, problem, token

TOKEN = "POST /api/users/member-1/garmin/token"
UPLOAD = "POST /upload"
LEFT = "POST /left"

Upload = Callable[[StandIn, str], int]


@pytest.fixture
def garmin() -> Iterator[StandIn]:
    with StandIn().running() as garmin:
        yield garmin
    assert garmin.unexpected == []


def with_httpx(service: StandIn, url: str) -> int:
    with FitTrackAuth(service.url, client_key="key") as auth:
        http = httpx.Client(auth=auth.httpx_auth("member-1"), trust_env=False)
        with http:
            body, length = iter([b'{"a":', b' "b"}']), {"Content-Length": "10"}
            return http.post(url, content=body, headers=length, follow_redirects=True).status_code


def with_httpx_in_asyncio(service: StandIn, url: str) -> int:
    async def upload() -> int:
        auth = AsyncFitTrackAuth(service.url, client_key="key")
        http = httpx.AsyncClient(auth=auth.httpx_auth("member-1"), trust_env=False)
        async with auth, http:
            return (await http.post(url, json={"a": "b"}, follow_redirects=True)).status_code

    return asyncio.run(upload())


def with_a_thread_in_asyncio(service: StandIn, url: str) -> int:
    async def upload(auth: FitTrackAuth) -> int:
        http = httpx.AsyncClient(auth=auth.httpx_auth("member-1"), trust_env=False)
        async with http:
            return (await http.post(url, json={"a": "b"}, follow_redirects=True)).status_code

    with FitTrackAuth(service.url, client_key="key") as auth:
        return asyncio.run(upload(auth))


def with_requests(service: StandIn, url: str) -> int:
    with FitTrackAuth(service.url, client_key="key") as auth, requests.Session() as http:
        http.trust_env = False
        http.auth = auth.requests_auth("member-1")
        return http.post(url, data=io.BytesIO(b'{"a": "b"}'), timeout=60).status_code


@pytest.fixture(params=[with_httpx, with_httpx_in_asyncio, with_a_thread_in_asyncio, with_requests])
def upload(request: pytest.FixtureRequest) -> Upload:
    method: Upload = request.param
    return method


def bearers(garmin: StandIn) -> list[str]:
    return [request.headers.get("authorization", "") for request in garmin.requests]


def test_each_request_has_a_token(stand_in: StandIn, garmin: StandIn, upload: Upload) -> None:
    stand_in.on(TOKEN, token("first", api_base=garmin.url))
    garmin.on(UPLOAD, Answer())
    assert upload(stand_in, f"{garmin.url}/upload") == 200
    assert bearers(garmin) == ["Bearer first"]


def test_a_refused_request_is_sent_once_more_with_another_token(
    stand_in: StandIn, garmin: StandIn, upload: Upload
) -> None:
    answers = (token(name, api_base=garmin.url) for name in ("first", "second"))
    stand_in.on(TOKEN, *answers)
    garmin.on(UPLOAD, Answer(401), Answer())
    assert upload(stand_in, f"{garmin.url}/upload") == 200
    assert bearers(garmin) == ["Bearer first", "Bearer second"]
    assert [request.data for request in garmin.requests] == [{"a": "b"}] * 2
    rejected = [(request.data or {}).get("rejected") for request in stand_in.seen(TOKEN)]
    assert rejected == [None, hashlib.sha256(b"first").hexdigest()]


def test_a_request_that_is_refused_again_is_not_repeated(
    stand_in: StandIn, garmin: StandIn, upload: Upload
) -> None:
    stand_in.on(TOKEN, token("first", api_base=garmin.url), token("second", api_base=garmin.url))
    garmin.on(UPLOAD, Answer(401))
    assert upload(stand_in, f"{garmin.url}/upload") == 401
    assert bearers(garmin) == ["Bearer first", "Bearer second"]


def test_a_connection_that_is_over_is_an_error(
    stand_in: StandIn, garmin: StandIn, upload: Upload
) -> None:
    stand_in.on(TOKEN, token("first", api_base=garmin.url), problem(409, "sign_in_required"))
    garmin.on(UPLOAD, Answer(401))
    with pytest.raises(SignInRequiredError):
        upload(stand_in, f"{garmin.url}/upload")


def test_a_token_goes_to_nobody_else(stand_in: StandIn, garmin: StandIn, upload: Upload) -> None:
    stand_in.on(TOKEN, token("first"))
    with pytest.raises(UsageError):
        upload(stand_in, f"{garmin.url}/upload")
    assert garmin.requests == []


def test_a_redirect_takes_no_token_along(
    stand_in: StandIn, garmin: StandIn, upload: Upload
) -> None:
    stand_in.on(TOKEN, token("first", api_base=garmin.url))
    with StandIn().running() as other:
        target = other.url.replace("127.0.0.1", "localhost")
        garmin.on(UPLOAD, Answer(307, headers={"Location": f"{target}/left"}))
        other.on(LEFT, Answer(401))
        assert upload(stand_in, f"{garmin.url}/upload") == 401
        assert bearers(other) == [""]
    assert len(stand_in.seen(TOKEN)) == 1


class Pieces:
    """A body that can be read once."""

    def __init__(self) -> None:
        self._pieces = iter([b'{"a":', b' "b"}'])

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def __len__(self) -> int:
        return 10


def test_a_body_that_is_gone_is_not_sent_again(stand_in: StandIn, garmin: StandIn) -> None:
    stand_in.on(TOKEN, token("first", api_base=garmin.url))
    garmin.on(UPLOAD, Answer(401))
    with FitTrackAuth(stand_in.url, client_key="key") as auth, requests.Session() as http:
        http.trust_env = False
        http.auth = auth.requests_auth("member-1")
        assert http.post(f"{garmin.url}/upload", data=Pieces(), timeout=60).status_code == 401
    assert len(garmin.requests) == 1


def test_a_blocking_client_needs_a_blocking_auth(stand_in: StandIn, garmin: StandIn) -> None:
    auth = AsyncFitTrackAuth(stand_in.url, client_key="key")
    http = httpx.Client(auth=auth.httpx_auth("member-1"), trust_env=False)
    with http, pytest.raises(UsageError):
        http.get(garmin.url)
    asyncio.run(auth.aclose())


def test_a_renewed_token_is_replaced_again_only_once_it_was_accepted(
    stand_in: StandIn, garmin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("first", "second", "third", "fourth")
    stand_in.on(TOKEN, *(token(name, api_base=garmin.url) for name in names))
    garmin.on(UPLOAD, *map(Answer, (401, 401, 401, 200, 401, 401, 401, 200)))
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(garmin_auth, "time", SimpleNamespace(monotonic=lambda: clock.now))
    with FitTrackAuth(stand_in.url, client_key="key") as auth:
        http = httpx.Client(auth=auth.httpx_auth("member-1"), trust_env=False)
        with http:
            statuses = [http.post(f"{garmin.url}/upload").status_code for _ in range(4)]
            clock.now += garmin_auth.PROBATION_SECONDS + 1
            statuses.append(http.post(f"{garmin.url}/upload").status_code)
    assert statuses == [401, 401, 200, 401, 200]
    assert bearers(garmin) == [
        f"Bearer {name}"
        for name in ("first", "second", "second", "second", "second", "third", "third", "fourth")
    ]
