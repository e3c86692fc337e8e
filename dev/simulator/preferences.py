"""The two settings documents of an account: the display name stands in one, no GUID in either."""

from dev.simulator.accounts import Account
from dev.simulator.messages import Request, Response, json_response
from dev.simulator.reads import read
from dev.simulator.state import State

_MONDAY = {"dayId": 3, "dayName": "monday", "sortOrder": 3, "isPossibleFirstDay": True}


def profile_settings(state: State, request: Request) -> Response:
    """`GET /userprofile-service/userprofile/settings`."""
    return read(state, request, _profile_settings)


def user_settings(state: State, request: Request) -> Response:
    """`GET /userprofile-service/userprofile/user-settings`, which garminconnect loads."""
    return read(state, request, _user_settings)


def _profile_settings(account: Account) -> Response:
    value: dict[str, object] = {
        "displayName": account.display_name,
        "preferredLocale": "en",
        "measurementSystem": "metric",
        "firstDayOfWeek": _MONDAY,
        "numberFormat": "decimal_period",
        "timeFormat": _format(33, "time_twenty_four_hr", "HH:mm"),
        "dateFormat": _format(23, "mmddyyyy", "EEE, MMM d, yyyy"),
        "powerFormat": _format(30, "watt"),
        "heartRateFormat": _format(21, "bpm"),
        "timeZone": "Europe/Paris",
        "hydrationMeasurementUnit": "milliliter",
        "hydrationContainers": [],
        "golfDistanceUnit": "metric",
        "golfElevationUnit": None,
        "golfSpeedUnit": None,
    }
    return json_response(200, value)


def _user_settings(account: Account) -> Response:
    user = {
        "gender": None,
        "weight": None,
        "height": None,
        "timeFormat": "time_twenty_four_hr",
        "birthDate": None,
        "measurementSystem": "metric",
        "firstDayOfWeek": _MONDAY,
        "hydrationMeasurementUnit": "milliliter",
    }
    value = {"id": account.profile_id, "userData": user, "userSleep": None, "connectDate": None}
    return json_response(200, value)


def _format(number: int, key: str, display: str | None = None) -> dict[str, object]:
    return {
        "formatId": number,
        "formatKey": key,
        "minFraction": 0,
        "maxFraction": 0,
        "groupingUsed": False,
        "displayFormat": display,
    }
