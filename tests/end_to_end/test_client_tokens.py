"""Programs that read from Garmin with tokens of the service, by the bundled client."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import httpx
import pytest
import requests
from garmin_personal_api import GarminPersonalApiClient, HttpError

from dev.simulator import PASSWORD, Simulator
from dev.stack import Stack
from fittrack_auth_client import AsyncFitTrackAuth, FitTrackAuth, SignedIn, UsageError
from tests.end_to_end.test_command_line import run

USERNAME = "plain-nora@example.com"
MEMBER = "member-1"
API = "https://connectapi.garmin.com"
ACTIVITIES = f"{API}/activitylist-service/activities/search/activities"
DOWNLOAD = f"{API}/download-service/files/activity"

Read = Callable[[Stack, str, Simulator], None]


@pytest.fixture
def key(stack: Stack, app_key: str) -> str:
    """The key of an app to which Nora has connected her account."""
    with FitTrackAuth(stack.url, client_key=app_key) as auth:
        assert isinstance(auth.sign_in(USERNAME, PASSWORD, user_id=MEMBER), SignedIn)
    return app_key


def with_httpx(stack: Stack, key: str, garmin: Simulator) -> None:
    with (
        FitTrackAuth(stack.url, client_key=key) as auth,
        httpx.Client(auth=auth.httpx_auth(MEMBER), **options(garmin)) as http,
    ):
        newest = http.get(ACTIVITIES).raise_for_status().json()[0]
        garmin.expire_tokens(USERNAME)
        file = http.get(f"{DOWNLOAD}/{newest['activityId']}").raise_for_status()
        assert file.content.startswith(b"PK")


def with_asyncio(stack: Stack, key: str, garmin: Simulator) -> None:
    async def sync() -> None:
        auth = AsyncFitTrackAuth(stack.url, client_key=key)
        http = httpx.AsyncClient(auth=auth.httpx_auth(MEMBER), **options(garmin))
        async with auth, http:
            newest = (await http.get(ACTIVITIES)).raise_for_status().json()[0]
            garmin.expire_tokens(USERNAME)
            file = f"{DOWNLOAD}/{newest['activityId']}"
            replies = await asyncio.gather(*(http.get(file) for _ in range(20)))
            assert {reply.status_code for reply in replies} == {200}

    asyncio.run(sync())


def with_requests(stack: Stack, key: str, garmin: Simulator) -> None:
    with FitTrackAuth(stack.url, client_key=key) as auth, requests.Session() as http:
        http.trust_env = False
        http.proxies = {"https": garmin.environment["HTTPS_PROXY"]}
        http.verify = garmin.environment["SSL_CERT_FILE"]
        http.auth = auth.requests_auth(MEMBER)
        newest = http.get(ACTIVITIES, timeout=60).json()[0]
        garmin.expire_tokens(USERNAME)
        file = http.get(f"{DOWNLOAD}/{newest['activityId']}", timeout=60)
        assert (file.status_code, [reply.status_code for reply in file.history]) == (200, [401])


class Options(TypedDict):
    proxy: str
    verify: ssl.SSLContext
    trust_env: bool
    timeout: float


def options(garmin: Simulator) -> Options:
    """How httpx reaches the simulator, whatever the environment says."""
    context = ssl.create_default_context(cafile=garmin.environment["SSL_CERT_FILE"])
    proxy = garmin.environment["HTTPS_PROXY"]
    return {"proxy": proxy, "verify": context, "trust_env": False, "timeout": 60}


@pytest.mark.parametrize("read", [with_httpx, with_asyncio, with_requests])
def test_a_program_survives_that_garmin_stops_accepting_its_token(
    stack: Stack, garmin: Simulator, key: str, read: Read
) -> None:
    before = garmin.count("oauth2_exchanges", USERNAME)
    read(stack, key, garmin)
    assert garmin.count("oauth2_exchanges", USERNAME) == before + 1


def test_the_command_line_prints_a_token_that_garmin_accepts(
    stack: Stack, garmin: Simulator, tmp_path: Path
) -> None:
    login = ["login", "--server", stack.url, "--username", USERNAME, "--password-stdin"]
    assert run(tmp_path, *login, stdin=f"{PASSWORD}\n").returncode == 0

    printed = run(tmp_path, "token")

    assert (printed.returncode, printed.stderr) == (0, "")
    headers = {"Authorization": f"Bearer {printed.stdout.strip()}"}
    with httpx.Client(**options(garmin)) as http:
        assert http.get(ACTIVITIES, headers=headers).status_code == 200


def test_a_connection_by_key_is_read_with_garmins_own_client_and_with_httpx(
    stack: Stack, app_key: str, garmin: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in garmin.environment.items():
        monkeypatch.setenv(name, value)
    with FitTrackAuth(stack.url, client_key=app_key) as auth:
        auth.import_personal_api_key(f"key-{USERNAME}", user_id=MEMBER)
        token = auth.token(MEMBER)
        assert (token.access, token.method) == ("read", "personal_api_key")
        with GarminPersonalApiClient(token.access_token.reveal()) as client:
            assert client.get_user_profile_settings()
            garmin.expire_tokens(USERNAME)
            with pytest.raises(HttpError):
                client.get_user_profile_settings()
            token = auth.token(MEMBER, rejected=token.access_token)
            client.update_bearer_token(token.access_token.reveal())
            assert client.get_user_profile_settings()
        with httpx.Client(
            auth=auth.httpx_auth(MEMBER), base_url=token.api_base, **options(garmin)
        ) as http:
            garmin.expire_tokens(USERNAME)
            assert http.get("/userprofile-service/userprofile/settings").status_code == 200
        with pytest.raises(UsageError, match="personal_api_key"):
            auth.garminconnect(MEMBER)
    assert garmin.count("key_exchanges", USERNAME) == 3
