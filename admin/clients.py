"""`clients add`, `edit`, `grant`, `revoke`, `list`, `renew`, `remove`: apps and their keys."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from admin.parameters import one_of
from admin.service import open_service
from shared.accounts.accounts import Accounts
from shared.accounts.appearance import Appearance, InvalidAppearanceError, parse_origin
from shared.accounts.clients import ClientRepository, ClientView, Scope
from shared.audit.events import Event, EventKind
from shared.audit.log import EventLog
from shared.origin import Origin

app = typer.Typer(
    help="Manage client apps and their keys.", no_args_is_help=True, rich_markup_mode=None
)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="1 to 32 letters, digits, dots, dashes, underscores.")
]

Scopes = Annotated[
    list[Scope],
    typer.Argument(metavar="SCOPE...", parser=one_of(Scope), help="sign_in, connections, tokens."),
]
DisplayName = Annotated[
    str | None, typer.Option(help="What people read on the connect page; by default NAME.")
]
Accent = Annotated[
    str | None, typer.Option(metavar="#RRGGBB", help="The connect page's colour for this app.")
]
Origins = Annotated[
    list[str] | None,
    typer.Option(
        metavar="URL",
        help="An origin of the app: it may embed the connect page, or be returned to. Repeat it.",
    ),
]


@app.command()
def add(
    name: Name,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(
            metavar="SCOPE",
            parser=one_of(Scope),
            help=f"What the key may be used for ({', '.join(Scope)}); repeat it. By default "
            "everything.",
        ),
    ] = None,
    display_name: DisplayName = None,
    accent: Accent = None,
    origin: Origins = None,
) -> None:
    """Add an app and print its key.

    The key can't be shown again: only its hash is stored.
    """
    scopes = tuple(scope or Scope)
    appearance = Appearance.of(display_name, accent, origin or ())
    _print_key(name, EventKind.CLIENT_ADDED, lambda clients: clients.add(name, scopes, appearance))


@app.command()
def edit(
    name: Name,
    display_name: DisplayName = None,
    accent: Accent = None,
    origin: Origins = None,
    remove_origin: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="An origin that no longer is the app's.")
    ] = None,
) -> None:
    """Change what people see of an app, and its origins. An empty text removes what was set."""
    removed = {parse_origin(url) for url in remove_origin or ()}

    def change(before: Appearance) -> Appearance:
        if missing := removed.difference(before.origins):
            raise InvalidAppearanceError(f"the app has no origin {', '.join(sorted(missing))}")
        return Appearance.of(
            before.display_name if display_name is None else display_name,
            before.accent if accent is None else accent,
            [url for url in (*before.origins, *(origin or ())) if parse_origin(url) not in removed],
        )

    def work(session: Session) -> ClientView:
        client = ClientRepository(session).edit(name, change)
        _record(session, EventKind.CLIENT_EDITED, Origin(client_id=client.client_id), name)
        return client

    with open_service() as service:
        client = service.database.run(work)
    print(f"{client.name}: {_appearance(client)}")


@app.command()
def grant(name: Name, scopes: Scopes) -> None:
    """Let an app's key be used for more."""
    _change_scopes(lambda clients: clients.grant(name, scopes))


@app.command()
def revoke(name: Name, scopes: Scopes) -> None:
    """Let an app's key no longer be used for something, from now on."""
    _change_scopes(lambda clients: clients.revoke(name, scopes))


@app.command()
def renew(name: Name) -> None:
    """Replace an app's key and print the new one.

    The old key stops working at once. The app's connections stay.
    """
    _print_key(name, EventKind.CLIENT_RENEWED, lambda clients: clients.renew(name))


@app.command()
def remove(name: Name) -> None:
    """Remove an app, its key and its connections; end the sessions that it opened.

    Garmin tokens are deleted, unless another app or a session opened without this one uses them.
    """
    with open_service() as service:
        settings = service.settings
        accounts = Accounts(
            service.database, service.keyring, settings.session_ttl, settings.session_idle_ttl
        )

        def work(session: Session) -> int:
            clients = ClientRepository(session)
            origin = Origin(client_id=clients.lock_for_removal(name).client_id)
            connections = accounts.unlink_client(session, origin)
            clients.remove(name)
            _record(session, EventKind.CLIENT_REMOVED, origin, name)
            return connections

        connections = service.database.run(work)
    print(f"{name} removed; connections deleted: {connections}")


@app.command("list")
def list_clients() -> None:
    """List all apps, by name."""
    with open_service() as service:
        clients = service.database.run(lambda session: ClientRepository(session).all())
    for client in clients:
        added = f"added {client.created_at:%Y-%m-%d %H:%M} UTC"
        print(
            f"{client.name}\t{client.client_id}\t{added}\t{_scopes(client)}\t{_appearance(client)}"
        )


def _appearance(client: ClientView) -> str:
    shown = client.appearance
    return "\t".join(
        (shown.display_name or client.name, shown.accent or "-", ",".join(shown.origins) or "-")
    )


def _scopes(client: ClientView) -> str:
    return ",".join(scope for scope in Scope if scope in client.scopes) or "nothing"


def _change_scopes(change: Callable[[ClientRepository], ClientView]) -> None:
    def work(session: Session) -> ClientView:
        client = change(ClientRepository(session))
        origin = Origin(client_id=client.client_id)
        _record(session, EventKind.CLIENT_SCOPES_CHANGED, origin, _scopes(client))
        return client

    with open_service() as service:
        client = service.database.run(work)
    print(f"{client.name}: {_scopes(client)}")


def _print_key(
    name: str, kind: EventKind, create: Callable[[ClientRepository], tuple[ClientView, str]]
) -> None:
    def work(session: Session) -> str:
        client, key = create(ClientRepository(session))
        _record(session, kind, Origin(client_id=client.client_id), name)
        return key

    with open_service() as service:
        key = service.database.run(work)
    print(key)
    print("Keep this key now: it can't be shown again.", file=sys.stderr)


def _record(session: Session, kind: EventKind, origin: Origin, outcome: str) -> None:
    EventLog(session).append(Event.of(kind, origin, outcome))
