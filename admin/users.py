"""`users list`, `show`, `delete`: people, and what is stored of them."""

import uuid
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Any

import typer

from admin.output import AsJson, json_line, line, moment
from admin.parameters import user_id as parse_user_id
from admin.service import Service, open_service
from shared.accounts.accounts import Accounts
from shared.accounts.tokens import TokenInfo
from shared.accounts.users import LinkView, UserRepository, UserView
from shared.origin import UNKNOWN

_PAGE = 200

app = typer.Typer(help="Show and delete users.", no_args_is_help=True, rich_markup_mode=None)

UserId = Annotated[
    uuid.UUID,
    typer.Argument(metavar="ID", parser=parse_user_id, help="The service's own id of the user."),
]


@app.command("list")
def list_users(
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, metavar="N", help="Show N users at most.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List users: id, Garmin domain, name, how they are connected, apps and open sessions."""
    with open_service() as service:
        for user in islice(_users(service), limit):
            print(json_line(_values(user)) if as_json else _line(user))


@app.command()
def show(user: UserId, as_json: AsJson = False) -> None:
    """Show what is stored of a user. Secrets are not opened."""
    with open_service() as service:
        idle = service.settings.session_idle_ttl
        view = service.database.run(lambda session: UserRepository(session, idle).view(user))
    if as_json:
        print(json_line(_values(view)))
        return
    print(_line(view))
    for token in view.tokens:
        print(_token_line(token))
    for link in view.links:
        print(line("  app", link.app, link.client_user_id, f"since {moment(link.since)}"))


@app.command()
def delete(user: UserId) -> None:
    """Delete a user: tokens, sessions, apps' connections and name.

    A sign-in or a refresh that is still going on does not bring the user back; a later sign-in
    makes a new one. The audit log keeps its events, which hold ids and hashes, but no name.
    """
    with open_service() as service:
        settings = service.settings
        accounts = Accounts(
            service.database, service.keyring, settings.session_ttl, settings.session_idle_ttl
        )
        service.database.run(lambda session: accounts.delete_user(session, user, UNKNOWN))
    print(f"{user} deleted")


def _users(service: Service) -> Iterator[UserView]:
    """Read page by page: there may be millions."""
    after: uuid.UUID | None = None
    while page := _page(service, after):
        yield from page
        after = page[-1].user_id


def _page(service: Service, after: uuid.UUID | None) -> Sequence[UserView]:
    idle = service.settings.session_idle_ttl
    return service.database.run(lambda session: UserRepository(session, idle).page(_PAGE, after))


def _line(user: UserView) -> str:
    return line(
        user.user_id,
        user.domain,
        user.display_name,
        ", ".join(f"{token.method}: {token.standing.state}" for token in user.tokens)
        or "not connected",
        f"apps: {len(user.links)}",
        f"sessions: {user.sessions}",
        f"since {moment(user.created_at)}",
    )


def _token_line(token: TokenInfo) -> str:
    standing = token.standing
    reason = f" ({standing.reason})" if standing.reason else ""
    return line(
        f"  {token.method}",
        token.access,
        token.driver,
        f"{standing.state}{reason} since {moment(standing.since)}",
        f"access token until {moment(token.access_expires_at)}",
        f"renewable until {moment(token.refresh_expires_at)}",
    )


def _values(user: UserView) -> dict[str, Any]:
    return {
        "id": user.user_id,
        "domain": user.domain,
        "display_name": user.display_name,
        "garmin_display_name": user.garmin_display_name,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
        "sessions": user.sessions,
        "tokens": [token_values(token) for token in user.tokens],
        "connections": [_link_values(link) for link in user.links],
    }


def token_values(token: TokenInfo) -> dict[str, Any]:
    return {
        "method": token.method,
        "access": token.access,
        "driver": token.driver,
        "state": token.standing.state,
        "state_reason": token.standing.reason,
        "state_since": token.standing.since,
        "access_token_expires_at": token.access_expires_at,
        "refreshable_until": token.refresh_expires_at,
    }


def _link_values(link: LinkView) -> dict[str, Any]:
    return {"app": link.app, "user_id": link.client_user_id, "since": link.since}
