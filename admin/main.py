"""The operator's commands: `fittrack-auth-admin`."""

import sys

import typer

from admin import clients, keys
from admin.events import events
from shared.errors import (
    ClientExistsError,
    ConfigurationError,
    InvalidClientNameError,
    SealBrokenError,
    ServiceUnavailableError,
    UnknownClientError,
)

app = typer.Typer(
    name="fittrack-auth-admin",
    help="Look after a FitTrack Auth service. Reads the service's own settings.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(clients.app, name="clients")
app.add_typer(keys.app, name="keys")
app.command()(events)

_EXITS: dict[type[Exception], tuple[int, str]] = {
    InvalidClientNameError: (
        2,
        "a client's name is 1 to 32 letters, digits, dots, dashes or underscores",
    ),
    ClientExistsError: (1, "there is a client with this name"),
    UnknownClientError: (1, "there is no client with this name"),
    SealBrokenError: (
        1,
        "a stored value does not open with any of the keys: nothing of its batch was changed",
    ),
}
"""Errors that need no more words."""


@app.callback()
def fittrack_auth_admin() -> None:
    """Look after a FitTrack Auth service. Reads the service's own settings."""


def main() -> None:
    """Exit codes: 0 done, 1 something is not right, 2 usage or settings, 3 unreachable."""
    try:
        app()
    except ConfigurationError as error:
        print(f"fittrack-auth-admin: {error}", file=sys.stderr)
        sys.exit(2)
    except ServiceUnavailableError as error:
        print(f"fittrack-auth-admin: the {error.what} does not answer", file=sys.stderr)
        sys.exit(3)
    except tuple(_EXITS) as error:
        code, text = _EXITS[type(error)]
        print(f"fittrack-auth-admin: {text}", file=sys.stderr)
        sys.exit(code)
