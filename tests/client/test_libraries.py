"""garminconnect and garth, unmodified, with tokens of the service, against the simulated Garmin."""

import hashlib
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import garminconnect
import pytest
import requests

from dev.simulator import PASSWORD, Simulator
from fittrack_auth_client import FitTrackAuth, LinkNotFoundError, SignInRequiredError, UsageError
from tests.client.stand_in import StandIn, problem, token
from tests.dev.libraries import garth, garth_client
from tests.dev.wire import wire

ANNA = "plain-anna@example.com"
TOKEN = "POST /api/users/member-1/garmin/token"
ANOTHER_OAUTH1 = {"oauth_token": "a", "oauth_token_secret": "b", "domain": "garmin.cn"}
ANOTHER_OAUTH2 = {
    **dict.fromkeys(("scope", "jti", "token_type", "access_token", "refresh_token"), "another"),
    **dict.fromkeys(("expires_in", "expires_at"), 1),
    **dict.fromkeys(("refresh_token_expires_in", "refresh_token_expires_at"), 1),
}
ACTIVITIES = "/activitylist-service/activities/search/activities"


class Library(Protocol):
    """The same reads in each library, and what it was made by."""

    def __init__(self, auth: FitTrackAuth) -> None: ...
    def full_name(self) -> str: ...
    def newest(self) -> int: ...
    def fit_file(self, activity: int) -> bytes: ...
    def dumps(self) -> str: ...
    def sessions(self) -> list[requests.Session]: ...


class GarminConnect:
    def __init__(self, auth: FitTrackAuth) -> None:
        self.garmin = auth.garminconnect("member-1")
        assert type(self.garmin) is garminconnect.Garmin

    def full_name(self) -> str:
        return str(self.garmin.get_full_name())

    def newest(self) -> int:
        activities = self.garmin.get_activities(0, 1)
        assert isinstance(activities, list)
        return int(activities[0]["activityId"])

    def fit_file(self, activity: int) -> bytes:
        return bytes(
            self.garmin.download_activity(
                str(activity), self.garmin.ActivityDownloadFormat.ORIGINAL
            )
        )

    def dumps(self) -> str:
        return self.garmin.client.dumps()

    def sessions(self) -> list[requests.Session]:
        return [self.garmin.client.cs, self.garmin.client._api_session]


class Garth:
    def __init__(self, auth: FitTrackAuth) -> None:
        self.client = auth.garth("member-1")
        assert type(self.client) is garth.Client

    def full_name(self) -> str:
        return str(self.client.profile["fullName"])

    def newest(self) -> int:
        activities = self.client.connectapi(ACTIVITIES, params={"limit": "1"})
        assert isinstance(activities, list)
        return int(activities[0]["activityId"])

    def fit_file(self, activity: int) -> bytes:
        return self.client.download(f"/download-service/files/activity/{activity}")

    def dumps(self) -> str:
        return self.client.dumps()

    def sessions(self) -> list[requests.Session]:
        return [self.client.sess]


@pytest.fixture(params=[GarminConnect, Garth])
def library(request: pytest.FixtureRequest) -> type[Library]:
    kind: type[Library] = request.param
    return kind


@pytest.fixture
def auth(
    stand_in: StandIn, garmin: Simulator, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FitTrackAuth]:
    for name, value in garmin.environment.items():
        monkeypatch.setenv(name, value)
    with FitTrackAuth(stand_in.url, client_key="key") as auth:
        yield auth


@pytest.fixture
def opened(library: type[Library], auth: FitTrackAuth, first: str) -> Iterator[Library]:
    """The library with a first token of Anna's."""
    opened = library(auth)
    yield opened
    for session in opened.sessions():
        session.close()


@pytest.fixture
def first(stand_in: StandIn, garmin: Simulator) -> str:
    """The token that the service has for Anna, until it is given another one."""
    value = access_token(garmin)
    stand_in.on(TOKEN, token(value))
    return value


def access_token(garmin: Simulator) -> str:
    with wire(garmin) as browser:
        return str(browser.di_tokens(ANNA)["access_token"])


def rejected(stand_in: StandIn) -> list[object]:
    """What each request to the service said of an earlier token."""
    return [(request.data or {}).get("rejected") for request in stand_in.seen(TOKEN)]


def test_profile_activities_and_files_are_read(opened: Library, stand_in: StandIn) -> None:
    assert opened.full_name() == "Plain Anna"
    assert opened.fit_file(opened.newest()).startswith(b"PK")
    assert rejected(stand_in) == [None]


def test_a_token_that_garmin_stops_accepting_is_replaced_once(
    opened: Library, first: str, stand_in: StandIn, garmin: Simulator
) -> None:
    activity = opened.newest()
    garmin.expire_tokens(ANNA)
    stand_in.on(TOKEN, token(access_token(garmin)))
    stand_in.use_last(TOKEN)
    assert opened.fit_file(activity).startswith(b"PK")
    assert opened.fit_file(activity).startswith(b"PK")
    assert rejected(stand_in) == [None, hashlib.sha256(first.encode()).hexdigest()]


def test_a_long_run_outlives_its_tokens(
    library: type[Library],
    auth: FitTrackAuth,
    stand_in: StandIn,
    garmin: Simulator,
    clock: SimpleNamespace,
) -> None:
    """The time of the client and Garmin's go on; a token that ends is replaced before."""
    garmin.configure(access_ttl_s=3600)
    stand_in.on(TOKEN, token(access_token(garmin)))
    opened = library(auth)
    for _ in range(5):
        stand_in.on(TOKEN, token(access_token(garmin)))
        stand_in.use_last(TOKEN)
        assert opened.newest()
        clock.now += 3400
        garmin.advance_clock(3400)
    assert rejected(stand_in) == [None] * 5
    for session in opened.sessions():
        session.close()


def test_a_thousand_requests_of_many_threads_ask_the_service_once(
    opened: Library, first: str, stand_in: StandIn, garmin: Simulator
) -> None:
    with ThreadPoolExecutor(10) as pool:
        read = [pool.submit(opened.newest) for _ in range(500)]
        assert len({each.result(60) for each in read}) == 1
        garmin.expire_tokens(ANNA)
        stand_in.on(TOKEN, token(access_token(garmin)))
        stand_in.use_last(TOKEN)
        read = [pool.submit(opened.newest) for _ in range(500)]
        assert len({each.result(60) for each in read}) == 1
    assert rejected(stand_in) == [None, hashlib.sha256(first.encode()).hexdigest()]


def test_an_address_that_refuses_every_token_does_not_renew_them_all(
    opened: Library, stand_in: StandIn, garmin: Simulator
) -> None:
    stand_in.on(TOKEN, *(token(access_token(garmin)) for _ in range(2)))
    garmin.add_fault(kind="json", path=ACTIVITIES, status=401, body={"message": "no"})
    for _ in range(5):
        with pytest.raises(
            (garth.exc.GarthHTTPError, garminconnect.GarminConnectAuthenticationError)
        ):
            opened.newest()
    assert len(rejected(stand_in)) == 2


def test_the_library_itself_holds_no_token(opened: Library, first: str) -> None:
    opened.newest()
    assert first not in opened.dumps()
    assert all(first not in str(session.headers) for session in opened.sessions())


def test_the_token_goes_to_garmin_alone(auth: FitTrackAuth, first: str) -> None:
    with auth.garth("member-1").sess as session, pytest.raises(UsageError):
        session.get("https://garmin.com.example.com/")


def test_what_the_environment_says_of_another_person_has_no_say(
    auth: FitTrackAuth,
    first: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    library: type[Library],
) -> None:
    tmp_path.joinpath("oauth1_token.json").write_text(json.dumps(ANOTHER_OAUTH1))
    tmp_path.joinpath("oauth2_token.json").write_text(json.dumps(ANOTHER_OAUTH2))
    monkeypatch.setenv("GARTH_HOME", str(tmp_path))
    monkeypatch.setenv("GARMINTOKENS", str(tmp_path))
    opened = library(auth)
    assert opened.full_name() == "Plain Anna"
    for session in opened.sessions():
        session.close()


def test_an_account_of_garmin_cn_is_read_there(
    auth: FitTrackAuth, stand_in: StandIn, library: type[Library]
) -> None:
    with garth_client("garmin.cn") as browser:
        signed_in: tuple[Any, Any] = garth.sso.login(ANNA, PASSWORD, client=browser)
    chinese = token(
        signed_in[1].access_token, api_base="https://connectapi.garmin.cn", domain="garmin.cn"
    )
    stand_in.on(TOKEN, chinese)
    opened = library(auth)
    assert opened.fit_file(opened.newest()).startswith(b"PK")
    for session in opened.sessions():
        session.close()


def test_a_connection_that_is_not_there_is_an_error_of_the_service(
    auth: FitTrackAuth, stand_in: StandIn, library: type[Library]
) -> None:
    stand_in.on(TOKEN, problem(404, "link_not_found"))
    with pytest.raises(LinkNotFoundError):
        library(auth)


def test_a_connection_that_ends_says_so(
    opened: Library, stand_in: StandIn, garmin: Simulator
) -> None:
    garmin.expire_tokens(ANNA)
    stand_in.on(TOKEN, problem(409, "sign_in_required"))
    stand_in.use_last(TOKEN)
    with pytest.raises((SignInRequiredError, garminconnect.GarminConnectConnectionError)) as ended:
        opened.newest()
    assert isinstance(ended.value.__cause__ or ended.value, SignInRequiredError)


def test_a_connection_that_only_reads_is_refused(
    auth: FitTrackAuth, stand_in: StandIn, library: type[Library]
) -> None:
    personal = "https://personal.connectapi.garmin.com"
    stand_in.on(TOKEN, token("one", api_base=personal, access="read"))
    with pytest.raises(UsageError, match="personal_api_key") as refused:
        library(auth)
    assert refused.value.code == "read_only"


@pytest.mark.parametrize("name", ["garminconnect", "garth"])
def test_a_library_that_is_not_installed_is_named(
    auth: FitTrackAuth, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=rf"fittrack-auth-client\[{name}\]") as missing:
        getattr(auth, name)("member-1")
    assert missing.value.code == "extra_missing"
