"""The operator's commands: `fittrack-auth-admin`."""

import sys
from collections.abc import Sequence

import typer

from admin import clients, connections, drivers, keys, users, webhooks
from admin.events import events
from admin.imports import import_tokens
from shared.accounts.appearance import InvalidAppearanceError
from shared.accounts.users import UserNotFoundError
from shared.errors import (
    ClientExistsError,
    ConfigurationError,
    FitTrackError,
    InvalidClientNameError,
    LinkNotFoundError,
    ServiceUnavailableError,
    SignInInProgressError,
    UnknownClientError,
)
from shared.webhooks.errors import (
    AddressRefusedError,
    AmbiguousWebhookError,
    InvalidWebhookUrlError,
    UnknownDeliveryError,
    UnknownWebhookError,
    WebhookDisabledError,
    WebhookExistsError,
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
app.add_typer(users.app, name="users")
app.add_typer(connections.app, name="connections")
app.add_typer(drivers.app, name="drivers")
app.add_typer(keys.app, name="keys")
app.add_typer(webhooks.app, name="webhooks")
app.command()(events)
app.command("import")(import_tokens)

_EXITS: dict[type[FitTrackError], tuple[int, str]] = {
    ClientExistsError: (1, "an app with this name exists already"),
    UnknownClientError: (1, "there is no app with this name"),
    UserNotFoundError: (1, "there is no user with this id"),
    LinkNotFoundError: (1, "this user has no connection"),
    SignInInProgressError: (1, "these tokens are being imported already"),
    UnknownDeliveryError: (
        1,
        "there is no such delivery, it still waits, or its endpoint is disabled",
    ),
    UnknownWebhookError: (1, "there is no endpoint with this id, and no app of this name has one"),
    AmbiguousWebhookError: (1, "the app has several endpoints: give the id of one"),
    WebhookDisabledError: (1, "the endpoint is disabled: see `webhooks enable`"),
    WebhookExistsError: (1, "the app has an endpoint with this URL already"),
    AddressRefusedError: (2, "{error}"),
    InvalidWebhookUrlError: (2, "{error}"),
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
