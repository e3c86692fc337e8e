"""The activities of an account: a run on every third day, for the last ninety days."""

import io
import zipfile
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from dev.simulator import fit
from dev.simulator.accounts import Account
from dev.simulator.messages import Request, Response, json_response
from dev.simulator.reads import bad_request, not_found, read, yesterday
from dev.simulator.state import State

DAYS = 90
EVERY = 3
_ID_DAYS = 1_000_000
_RUNNING = {
    "typeId": 1,
    "typeKey": "running",
    "parentTypeId": 17,
    "isHidden": False,
    "restricted": False,
    "trimmable": True,
}
_UNCATEGORIZED = {"typeId": 9, "typeKey": "uncategorized", "sortOrder": 10}


@dataclass(frozen=True)
class Activity:
    """A run, of which everything follows from its account and day."""

    account: Account
    day: date

    @property
    def id(self) -> int:
        return self.account.profile_id * _ID_DAYS + self.day.toordinal()

    @property
    def begins(self) -> datetime:
        return datetime.combine(self.day, time(6, self.id % 60), UTC)

    @property
    def seconds(self) -> int:
        return 1200 + self.id % 2400

    @property
    def meters(self) -> float:
        return self.seconds * 2.75

    def summary(self) -> dict[str, object]:
        """An element of the list, with the fields that garth and garminconnect know."""
        begins = self.begins.strftime("%Y-%m-%d %H:%M:%S")
        return {
            "activityId": self.id,
            "activityName": "Morning Run",
            "startTimeLocal": begins,
            "startTimeGMT": begins,
            "activityType": _RUNNING,
            "eventType": _UNCATEGORIZED,
            "distance": self.meters,
            "duration": float(self.seconds),
            "elapsedDuration": float(self.seconds),
            "movingDuration": float(self.seconds),
            "averageSpeed": 2.75,
            "calories": round(self.meters / 16),
            "averageHR": 120 + self.id % 40,
            "ownerId": self.account.profile_id,
            "ownerDisplayName": self.account.display_name,
            "ownerFullName": self.account.full_name,
        }

    def archive(self) -> bytes:
        """The original file, as Garmin sends it: one FIT file in a ZIP archive."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            name = zipfile.ZipInfo(f"{self.id}_ACTIVITY.fit", self.begins.timetuple()[:6])
            archive.writestr(name, fit.run(self.begins, self.seconds, self.meters))
        return buffer.getvalue()


def search(state: State, request: Request) -> Response:
    """`GET /activitylist-service/activities/search/activities`, the newest first."""
    return read(state, request, lambda account: _search(state, request, account))


def download(state: State, request: Request) -> Response:
    """`GET /download-service/files/activity/{id}`: a ZIP archive with the FIT file."""
    return read(state, request, lambda account: _download(state, request, account))


def activities(account: Account, newest: date) -> list[Activity]:
    """Return all activities up to a day, the newest first."""
    days = [newest - timedelta(days=number) for number in range(DAYS)]
    remainder = account.profile_id % EVERY
    return [Activity(account, day) for day in days if day.toordinal() % EVERY == remainder]


def _search(state: State, request: Request, account: Account) -> Response:
    query = request.query
    try:
        start, limit = int(query.get("start", 0)), int(query.get("limit", 20))
        first = date.fromisoformat(query.get("startDate", "0001-01-01"))
        last = date.fromisoformat(query.get("endDate", "9999-12-31"))
    except ValueError:
        return bad_request("A parameter is not valid")
    if start < 0 or limit < 0:
        return bad_request("A parameter is negative")
    wanted = [
        activity.summary()
        for activity in activities(account, yesterday(state))
        if first <= activity.day <= last and query.get("activityType", "running") == "running"
    ]
    return json_response(200, wanted[start : start + limit])


def _download(state: State, request: Request, account: Account) -> Response:
    name = request.path.rpartition("/")[2]
    for activity in activities(account, yesterday(state)):
        if str(activity.id) == name:
            return Response(
                200, activity.archive(), (("Content-Type", "application/x-zip-compressed"),)
            )
    return not_found("No such activity")
