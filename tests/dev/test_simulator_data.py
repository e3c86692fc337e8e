"""The data that the simulated Garmin serves, read by libraries that renew their tokens."""

import io
import struct
import zipfile
from datetime import UTC, date, datetime, timedelta
from typing import Any

import garminconnect
import pytest

from dev.simulator import PASSWORD, Simulator
from dev.simulator.fit import crc
from tests.dev.libraries import garminconnect_client, garth, garth_client
from tests.dev.wire import Wire

API = "https://connectapi.garmin.com"
ACTIVITIES = "/activitylist-service/activities/search/activities"
DOWNLOAD = "/download-service/files/activity"
STEPS = "/usersummary-service/stats/steps/daily"
ANNA, BOB = "plain-anna@example.com", "plain-bob@example.com"


def bearer(client: Wire, username: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.di_tokens(username)['access_token']}"}


def fit_file(archive: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        (name,) = files.namelist()
        assert name.endswith("_ACTIVITY.fit")
        return files.read(name)


def today(garmin: Simulator) -> date:
    return datetime.fromtimestamp(garmin.now(), UTC).date()


def signed_in(username: str, client: garth.http.Client) -> None:
    client.oauth1_token, client.oauth2_token = garth.sso.login(
        username, PASSWORD, client=client, return_on_mfa=True
    )


def test_a_fit_file_is_well_formed(client: Wire) -> None:
    headers = bearer(client, ANNA)
    newest = client.get(API + ACTIVITIES, headers=headers).json()[0]
    reply = client.get(f"{API}{DOWNLOAD}/{newest['activityId']}", headers=headers)
    data = fit_file(reply.content)
    size, _, _, length, magic = struct.unpack("<BBHI4s", data[:12])
    assert (size, magic, len(data)) == (14, b".FIT", 14 + length + 2)
    assert (crc(data[:14]), crc(data)) == (0, 0)


def test_each_person_has_activities_of_their_own(client: Wire) -> None:
    anna, bob = bearer(client, ANNA), bearer(client, BOB)
    hers = client.get(API + ACTIVITIES, headers=anna).json()
    assert len(hers) == 20
    assert {activity["ownerFullName"] for activity in hers} == {"Plain Anna"}
    url = f"{API}{DOWNLOAD}/{hers[0]['activityId']}"
    assert client.get(url, headers=bob).status_code == 404
    assert client.get(url).status_code == 401
    assert client.get(url, headers={"Authorization": "Bearer nobody"}).status_code == 401


def test_activities_are_searched_by_page_and_date(client: Wire) -> None:
    headers = bearer(client, ANNA)

    def search(**params: object) -> list[int]:
        reply = client.get(API + ACTIVITIES, headers=headers, params=params)
        return [activity["activityId"] for activity in reply.json()]

    everything = search(limit=100)
    assert len(everything) == 30
    assert search(start=5, limit=2) == everything[5:7]
    listed = client.get(API + ACTIVITIES, headers=headers, params={"start": 5}).json()[0]
    day = listed["startTimeLocal"][:10]
    assert search(startDate=day, endDate=day) == [everything[5]]
    assert search(activityType="cycling") == []
    assert client.get(API + ACTIVITIES, headers=headers, params={"limit": "x"}).status_code == 400


def test_new_days_bring_new_data(client: Wire, garmin: Simulator) -> None:
    before = client.get(API + ACTIVITIES, headers=bearer(client, ANNA)).json()[0]
    garmin.advance_clock(3 * 86400)
    after = client.get(API + ACTIVITIES, headers=bearer(client, ANNA)).json()
    assert [activity["activityId"] for activity in after].index(before["activityId"]) == 1


def test_steps_have_28_days_at_most_and_none_in_the_future(client: Wire, garmin: Simulator) -> None:
    headers, now = bearer(client, ANNA), today(garmin)

    def steps(start: date | str, end: date | str) -> object:
        reply = client.get(f"{API}{STEPS}/{start}/{end}", headers=headers)
        return reply.json() if reply.ok else reply.status_code

    days = steps(now - timedelta(days=1), now + timedelta(days=5))
    assert isinstance(days, list)
    assert days[0]["calendarDate"] == str(now - timedelta(days=1))
    assert len(days) in (2, 3)  # midnight may pass
    assert steps(now - timedelta(days=28), now) == 400
    assert steps(now, now - timedelta(days=1)) == 400
    assert steps("yesterday", "today") == 400


def test_garth_reads_and_renews(garmin: Simulator) -> None:
    garmin.configure(access_ttl_s=-60)
    with garth_client() as client:
        signed_in(ANNA, client)
        garmin.configure(access_ttl_s=None)
        end = today(garmin) - timedelta(days=1)
        steps = garth.DailySteps.list(end, 7, client=client)
        assert [day.calendar_date for day in steps] == [
            end - timedelta(days=number) for number in range(6, -1, -1)
        ]
        runs = garth.Activity.list(limit=3, client=client)
        assert {run.owner_full_name for run in runs} == {"Plain Anna"}
        path = f"{DOWNLOAD}/{runs[0].activity_id}"
        assert crc(fit_file(client.download(path, headers={}))) == 0
    assert garmin.count("oauth2_exchanges", ANNA) == 2
    assert garmin.count("data_reads", ANNA) == 3


def test_garminconnect_reads_with_tokens_and_survives_a_401(garmin: Simulator) -> None:
    with garminconnect_client("mobile+cffi") as client:
        client.login(BOB, PASSWORD)
        tokens = client.dumps()
    garmin.expire_tokens(BOB)
    app = garminconnect.Garmin()
    try:
        app.login(tokens)
        assert (app.full_name, app.unit_system) == ("Plain Bob", "metric")
        end = today(garmin) - timedelta(days=1)
        assert len(app.get_daily_steps(str(end - timedelta(days=40)), str(end))) == 41
        garmin.expire_tokens(BOB)
        newest: Any = next(iter(app.get_activities(limit=1)))
        original = garminconnect.Garmin.ActivityDownloadFormat.ORIGINAL
        assert crc(fit_file(app.download_activity(newest["activityId"], original))) == 0
        assert app.get_userprofile_settings()["displayName"] == app.display_name
    finally:
        app.client._api_session.close()
        app.client.cs.close()
    assert garmin.count("di_refreshes", BOB) == 2
    assert garmin.count("di_refreshes_reused", BOB) == 0


def test_garminconnect_renews_a_token_that_is_about_to_end(garmin: Simulator) -> None:
    garmin.configure(access_ttl_s=600)
    with garminconnect_client("mobile+cffi") as client:
        client.login(BOB, PASSWORD)
        before = garmin.count("di_refreshes", BOB)
        garmin.configure(access_ttl_s=None)
        client.connectapi(ACTIVITIES)
        client.connectapi(ACTIVITIES)
    assert garmin.count("di_refreshes", BOB) == before + 1


@pytest.mark.parametrize("status", [403, 429, 503])
def test_data_alone_is_refused(client: Wire, garmin: Simulator, status: int) -> None:
    garmin.configure(refuse={"data": {"status": status, "times": 1}})
    headers = bearer(client, ANNA)
    assert client.get(API + ACTIVITIES, headers=headers).status_code == status
    assert client.get(API + ACTIVITIES, headers=headers).status_code == 200
