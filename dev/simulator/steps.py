"""The steps that an account made each day."""

from datetime import date, timedelta

from dev.simulator.accounts import Account
from dev.simulator.messages import Request, Response, json_response
from dev.simulator.reads import bad_request, read, yesterday
from dev.simulator.state import State

MAX_DAYS = 28
GOAL = 7500


def daily_steps(state: State, request: Request) -> Response:
    """`GET /usersummary-service/stats/steps/daily/{start}/{end}`: 28 days at most."""
    return read(state, request, lambda account: _daily_steps(state, request, account))


def steps_of(account: Account, day: date) -> int:
    """How many steps: the same on each run, and others for each account and day."""
    return 2000 + (account.profile_id + day.toordinal() * 7919) % 15_000


def _daily_steps(state: State, request: Request, account: Account) -> Response:
    *_, start, end = request.path.split("/")
    try:
        first, last = date.fromisoformat(start), date.fromisoformat(end)
    except ValueError:
        return bad_request("A date is not valid")
    if not 0 <= (last - first).days < MAX_DAYS:
        return bad_request(f"A range has 1 to {MAX_DAYS} days")
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    today = yesterday(state) + timedelta(days=1)
    return json_response(200, [_day(account, day) for day in days if day <= today])


def _day(account: Account, day: date) -> dict[str, object]:
    steps = steps_of(account, day)
    return {
        "calendarDate": day.isoformat(),
        "totalSteps": steps,
        "totalDistance": round(steps * 0.78),
        "stepGoal": GOAL,
    }
