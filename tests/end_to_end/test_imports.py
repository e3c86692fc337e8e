"""Imports through the whole service: what the real libraries have stored becomes a connection."""

import json
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import garminconnect.client.sso
import pytest

from dev.operator import admin
from dev.simulator import PASSWORD, Simulator
from dev.stack import Stack
from tests.dev.libraries import garminconnect_client, garth, garth_client
from tests.dev.wire import wire
from tests.end_to_end.client import Client
from tests.end_to_end.test_command_line import run

USERNAME = "plain-ida@example.com"


@pytest.fixture
def elsewhere(garmin: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """The libraries of another program, in this process."""
    for name, value in garmin.environment.items():
        monkeypatch.setenv(name, value)
    for bound in ("MIN", "MAX"):
        monkeypatch.setattr(garminconnect.client.sso, f"MOBILE_DELAY_{bound}_S", 0.0)
    monkeypatch.setattr(garth.sso, "OAUTH_CONSUMER", {})
    return garmin


def store_with_garth(home: Path) -> None:
    with garth_client() as client:
        client.login(USERNAME, PASSWORD)  # type: ignore[no-untyped-call]
        client.dump(str(home / ".garth"))


def store_with_garminconnect(home: Path) -> None:
    with garminconnect_client("mobile+cffi") as client:
        client.login(USERNAME, PASSWORD)
        client.dump(str(home / ".garminconnect"))


def name_behind(garmin: Simulator, access_token: str) -> str:
    with wire(garmin) as browser:
        return str(browser.profile(access_token).json()["fullName"])


@pytest.mark.parametrize("store", [store_with_garth, store_with_garminconnect])
def test_what_a_library_has_stored_is_found_and_used(
    stack: Stack, elsewhere: Simulator, tmp_path: Path, store: Callable[[Path], None]
) -> None:
    store(tmp_path)
    imported = run(tmp_path, "import", "--server", stack.url, "--json")
    assert imported.returncode == 0, imported.stdout
    result = json.loads(imported.stdout)
    assert result["user"]["display_name"] == "Plain Ida"
    assert result["exclusive"] is (store is store_with_garminconnect)
    token = run(tmp_path, "token")
    assert name_behind(elsewhere, token.stdout.strip()) == "Plain Ida"


def test_an_operator_connects_the_user_of_an_app(
    stack: Stack, client: Client, elsewhere: Simulator, tmp_path: Path
) -> None:
    store_with_garminconnect(tmp_path)
    app = f"app-{uuid4().hex[:8]}"
    key = admin(stack, "clients", "add", app)
    file = tmp_path / ".garminconnect" / "garmin_tokens.json"
    elsewhere.expire_tokens(USERNAME)
    assert "Plain Ida" in admin(stack, "import", app, "member-1", str(file))
    headers = {"X-Client-Key": key}
    token = client.http.post("/api/users/member-1/garmin/token", headers=headers).json()
    assert (token["method"], token["access"]) == ("import", "read_write")
    assert name_behind(elsewhere, token["access_token"]) == "Plain Ida"
    assert elsewhere.count("di_refreshes") == 1
    admin(stack, "clients", "remove", app)
