"""The operator's commands: `fittrack-auth-admin`."""

import sys

import typer

from admin import keys
from shared.errors import ConfigurationError, SealBrokenError, ServiceUnavailableError

app = typer.Typer(
    name="fittrack-auth-admin",
    help="Look after a FitTrack Auth service. Reads the service's own settings.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(keys.app, name="keys")


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
    except SealBrokenError:
        print(
            "fittrack-auth-admin: a stored value does not open with any of the keys: nothing of "
            "its batch was changed",
            file=sys.stderr,
        )
        sys.exit(1)
