"""Garmin's own client of the Personal API, unmodified, against the simulator."""

import io
import json
import os
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from garmin_personal_api import GarminPersonalApiClient, HttpError, PersonalApiAuthenticator

from dev.simulator import Simulator
from dev.simulator.fit import crc

ANNA = "plain-anna@example.com"
KEY = f"key-{ANNA}"


def test_a_key_reads_everything_that_is_simulated(garmin: Simulator, tmp_path: Path) -> None:
    cache = tmp_path / "token.json"
    with PersonalApiAuthenticator(bearer_token_cache_file=cache) as authenticator:
        token = authenticator.obtain_token(KEY)
        assert authenticator.obtain_token(KEY) == token
    assert garmin.count("key_exchanges", ANNA) == 1
    end = datetime.fromtimestamp(garmin.now(), UTC).date() - timedelta(days=1)
    with GarminPersonalApiClient(token.access_token) as client:
        profile: Any = client.get_user_profile_settings()
        assert profile["displayName"] == garmin.account(ANNA)["profile"]["displayName"]
        steps: Any = client.get_daily_steps(end - timedelta(days=6), end)
        assert [day["calendarDate"] for day in steps][-1] == str(end)
        runs: Any = client.search_activities(limit=2, start_date=end - timedelta(days=30))
        assert len(runs) == 2
        with zipfile.ZipFile(io.BytesIO(client.download_activity(runs[0]["activityId"]))) as files:
            assert crc(files.read(files.namelist()[0])) == 0


def test_a_token_that_garmin_no_longer_accepts_is_replaced(
    garmin: Simulator, tmp_path: Path
) -> None:
    cache = tmp_path / "token.json"
    with (
        PersonalApiAuthenticator(bearer_token_cache_file=cache) as authenticator,
        GarminPersonalApiClient(authenticator.obtain_token(KEY).access_token) as client,
    ):
        garmin.expire_tokens(ANNA)
        with pytest.raises(HttpError) as refused:
            client.get_user_profile_settings()
        assert refused.value.status_code == 401
        client.update_bearer_token(authenticator.obtain_token(KEY, force_refresh=True).access_token)
        assert client.get_user_profile_settings()


def test_a_revoked_key_is_an_error(garmin: Simulator, tmp_path: Path) -> None:
    cache = tmp_path / "token.json"
    with (
        PersonalApiAuthenticator(bearer_token_cache_file=cache) as authenticator,
        pytest.raises(HttpError) as refused,
    ):
        authenticator.obtain_token("key-keyrevoked-anna@example.com")
    assert refused.value.status_code == 401


def test_its_command_line_reads_with_a_key(garmin: Simulator, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "garmin_personal_api", "--quiet", "profile-settings"]
    env = os.environ | garmin.environment | {"HOME": str(tmp_path), "GARMIN_PERSONAL_API_KEY": KEY}
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
    displayed = json.loads(run.stdout)["displayName"]
    assert displayed == garmin.account(ANNA)["profile"]["displayName"]
