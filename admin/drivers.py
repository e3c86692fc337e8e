"""`drivers list`, `drivers wake`: Garmin libraries that rest because Garmin refused them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated

import typer

from admin.service import redis_client
from shared.redis.driver_states import DriverState, DriverStates
from shared.settings import KNOWN_DRIVERS, Settings

app = typer.Typer(
    help="Show and wake Garmin libraries that rest because Garmin refused them.",
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]


@app.callback(invoke_without_command=True)
def drivers(context: typer.Context, as_json: AsJson = False) -> None:
    """Show and wake Garmin libraries that rest because Garmin refused them.

    Without a command: list them.
    """
    if context.invoked_subcommand is None:
        list_drivers(as_json)


@app.command("list")
def list_drivers(as_json: AsJson = False) -> None:
    """List the libraries in use: which rest, for whom, since when, until when and why."""
    with _states() as (settings, states):
        for name in settings.garmin_drivers:
            state = states.of(name)
            print(_json(state) if as_json else _line(state))


@app.command()
def wake(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=f"The library: {' or '.join(KNOWN_DRIVERS)}.")
    ],
) -> None:
    """Let everybody use a library again, also accounts that wait for themselves.

    If Garmin still refuses it, it rests again, and Garmin may refuse it for longer.
    """
    if name not in KNOWN_DRIVERS:
        raise typer.BadParameter(f"must be {' or '.join(KNOWN_DRIVERS)}", param_hint="NAME")
    with _states() as (_, states):
        states.wake(name)
    print(f"{name} is awake")


@contextmanager
def _states() -> Iterator[tuple[Settings, DriverStates]]:
    settings = Settings.from_environment()
    with redis_client(settings) as redis:
        yield settings, DriverStates(redis)


def _status(state: DriverState) -> str:
    if state.rest is None:
        return "awake"
    return "resting" if state.rest_seconds else "probing"


def _line(state: DriverState) -> str:
    parts = [f"{state.driver}\t{_status(state)}"]
    if state.rest:
        since, until, why = state.rest.since, state.rest.until, state.rest.why
        parts.append(f"everybody: since {_time(since)} until {_time(until)} ({why})")
    if state.accounts_until:
        parts.append(f"accounts waiting: {state.accounts}, until {_time(state.accounts_until)}")
    return "\t".join(parts)


def _json(state: DriverState) -> str:
    rest = state.rest and {
        "since": _time(state.rest.since),
        "until": _time(state.rest.until),
        "why": state.rest.why,
    }
    accounts_until = state.accounts_until and _time(state.accounts_until)
    return json.dumps(
        {
            "driver": state.driver,
            "status": _status(state),
            "everybody": rest,
            "accounts_waiting": state.accounts,
            "accounts_until": accounts_until,
        }
    )


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
