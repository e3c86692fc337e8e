"""`clients add`, `list`, `renew`, `remove`: the apps that embed this service."""

from collections.abc import Callable
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from admin.service import open_database
from shared.accounts.accounts import Accounts
from shared.accounts.clients import ClientRepository, ClientView
from shared.audit.events import Event, EventKind
from shared.audit.log import EventLog
from shared.crypto.keyring import Keyring
from shared.origin import Origin
from shared.settings import Settings

app = typer.Typer(help="The apps that embed this service.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="1 to 32 letters, digits, dots, dashes, underscores.")]


@app.command()
def add(name: Name) -> None:
    """Add an app and print its key: this once, only a hash of it is kept."""
    _print_key(name, EventKind.CLIENT_ADDED, lambda clients: clients.add(name))


@app.command()
def renew(name: Name) -> None:
    """Print a new key for an app: the one before is void at once, its links stay."""
    _print_key(name, EventKind.CLIENT_RENEWED, lambda clients: clients.renew(name))


@app.command()
def remove(name: Name) -> None:
    """Remove an app, its key and its links: tokens that only it had linked are deleted."""
    settings = Settings.from_environment()
    database = open_database(settings)
    accounts = Accounts(
        database, Keyring.parse(settings.encryption_keys.get_secret_value()), settings.session_ttl
    )

    def work(session: Session) -> int:
        clients = ClientRepository(session)
        origin = Origin(client_id=clients.named(name).client_id)
        unlinked = accounts.unlink_client(session, origin)
        clients.remove(name)
        _tell(session, EventKind.CLIENT_REMOVED, origin, name)
        return unlinked

    print(f"{name}: removed, with {database.run(work)} links")


@app.command("list")
def list_clients() -> None:
    """List the apps, by name."""
    database = open_database(Settings.from_environment())
    for client in database.run(lambda session: ClientRepository(session).all()):
        print(f"{client.name}\t{client.client_id}\tsince {client.created_at:%Y-%m-%d %H:%M} UTC")


def _print_key(
    name: str, kind: EventKind, make: Callable[[ClientRepository], tuple[ClientView, str]]
) -> None:
    def work(session: Session) -> str:
        client, key = make(ClientRepository(session))
        _tell(session, kind, Origin(client_id=client.client_id), name)
        return key

    print(open_database(Settings.from_environment()).run(work))


def _tell(session: Session, kind: EventKind, origin: Origin, name: str) -> None:
    EventLog(session).append(Event.of(kind, origin, name))
