"""The operator's commands: `fittrack-auth-admin`."""

import sys
from collections.abc import Sequence

import typer

from admin import clients, drivers, keys
from admin.events import events
from shared.accounts.appearance import InvalidAppearanceError
from shared.errors import (
    ClientExistsError,
    ConfigurationError,
    FitTrackError,
    InvalidClientNameError,
    ServiceUnavailableError,
    UnknownClientError,
)

app = typer.Typer(
    name="fittrack-auth-admin",
    help="Administer a FitTrack Auth service. Reads the same settings as the service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(clients.app, name="clients")
app.add_typer(drivers.app, name="drivers")
app.add_typer(keys.app, name="keys")
app.command()(events)

_EXITS: dict[type[FitTrackError], tuple[int, str]] = {
    ClientExistsError: (1, "an app with this name exists already"),
    UnknownClientError: (1, "there is no app with this name"),
    ConfigurationError: (2, "{error}"),
    InvalidAppearanceError: (2, "{error}"),
    InvalidClientNameError: (
        2,
        "a name is 1 to 32 letters, digits, dots, dashes or underscores, and begins with a letter "
        "or digit",
    ),
    ServiceUnavailableError: (3, "{error} does not answer"),
}
"""The exit code of each error, and what is printed."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 failed, 2 usage or settings, 3 service unreachable."""
    try:
        app(arguments)
    except tuple(_EXITS) as error:
        code, message = next(_EXITS[kind] for kind in type(error).mro() if kind in _EXITS)
        print(f"fittrack-auth-admin: {message.format(error=error)}", file=sys.stderr)
        sys.exit(code)
