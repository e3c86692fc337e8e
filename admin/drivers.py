"""`drivers list`, `drivers wake`: Garmin libraries that rest because Garmin refused them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from admin.output import AsJson, json_line, moment
from admin.service import redis_client
from shared.audit.events import Event, EventKind
from shared.audit.outbox import EventOutbox
from shared.origin import UNKNOWN
from shared.redis.connection import Redis
from shared.redis.driver_keys import DriverUse
from shared.redis.driver_states import DriverState, DriverStates
from shared.settings import KNOWN_DRIVERS, Settings

app = typer.Typer(
    help="Show and wake Garmin libraries that rest because Garmin refused them.",
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def drivers(context: typer.Context, as_json: AsJson = False) -> None:
    """Show and wake Garmin libraries that rest because Garmin refused them.

    Without a command: list them.
    """
    if context.invoked_subcommand is None:
        list_drivers(as_json)


@app.command("list")
def list_drivers(as_json: AsJson = False) -> None:
    """List the libraries: which rest, for whom, since when, until when and why.

    Refreshes rest apart from sign-ins, and use the library that the tokens came from.
    """
    with _redis() as (settings, redis):
        states = DriverStates(redis)
        for name in KNOWN_DRIVERS:
            sign_ins = states.of(name) if name in settings.garmin_drivers else None
            refreshes = states.of(name, DriverUse.REFRESH)
            if as_json and (sign_ins or _is_affected(refreshes)):
                print(_json(name, sign_ins, refreshes))
            if sign_ins and not as_json:
                print(_line(name, sign_ins))
            if _is_affected(refreshes) and not as_json:
                print(_line(f"{name}, refreshes", refreshes))


@app.command()
def wake(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=f"The library: {' or '.join(KNOWN_DRIVERS)}.")
    ],
) -> None:
    """Use a library again at once: for everybody, for accounts that wait, and for refreshes.

    If Garmin still refuses it, it rests again, and Garmin may refuse it for longer.
    """
    if name not in KNOWN_DRIVERS:
        raise typer.BadParameter(f"must be {' or '.join(KNOWN_DRIVERS)}", param_hint="NAME")
    with _redis() as (_, redis):
        DriverStates(redis).wake(name)
        EventOutbox(redis).add(Event.of(EventKind.DRIVER_WOKEN, UNKNOWN, name))
    print(f"{name} is awake")


@contextmanager
def _redis() -> Iterator[tuple[Settings, Redis]]:
    settings = Settings.from_environment()
    with redis_client(settings) as redis:
        yield settings, redis


def _is_affected(state: DriverState) -> bool:
    return bool(state.rest or state.accounts)


def _status(state: DriverState) -> str:
    if state.rest is None:
        return "awake"
    return "resting" if state.rest_seconds else "probing"


def _line(name: str, state: DriverState) -> str:
    parts = [f"{name}\t{_status(state)}"]
    if state.rest:
        since, until, why = state.rest.since, state.rest.until, state.rest.why
        parts.append(f"everybody: since {moment(since)} until {moment(until)} ({why})")
    if state.accounts_until:
        parts.append(f"accounts waiting: {state.accounts}, until {moment(state.accounts_until)}")
    return "\t".join(parts)


def _json(name: str, sign_ins: DriverState | None, refreshes: DriverState) -> str:
    of_sign_ins = _values(sign_ins) if sign_ins else {"status": "unused"}
    return json_line({"driver": name, **of_sign_ins, "refreshes": _values(refreshes)})


def _values(state: DriverState) -> dict[str, Any]:
    rest = state.rest and {
        "since": state.rest.since,
        "until": state.rest.until,
        "why": state.rest.why,
    }
    return {
        "status": _status(state),
        "everybody": rest,
        "accounts_waiting": state.accounts,
        "accounts_until": state.accounts_until,
    }
