"""`connections list`, `connections refresh`: what apps have connected, and its renewal."""

import time
import uuid
from collections.abc import Iterator
from typing import Annotated

import typer

from admin.output import AsJson, json_line, line, moment
from admin.parameters import one_of, user_or_own_id
from admin.service import REDIS_TIMEOUT, Service, find_app, open_service
from admin.users import token_values
from shared.accounts.clients import ClientRepository
from shared.accounts.connections import (
    ConnectionKey,
    ConnectionPage,
    ConnectionRepository,
    ConnectionView,
)
from shared.accounts.refreshes import RefreshableTokens, RefreshLog
from shared.accounts.states import ConnectionState
from shared.broker.errors import RefreshFailedError
from shared.broker.refreshes import Refreshes
from shared.deployment import Deployment
from shared.errors import LinkNotFoundError
from shared.jobs.queue import JobQueue
from shared.jobs.store import JobStore
from shared.jobs.submission import Submitter
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.driver_keys import DriverUse

_PAGE = 200
_PAUSE = 0.25

app = typer.Typer(
    help="Show and refresh what apps have connected.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list")
def list_connections(
    state: Annotated[
        ConnectionState | None,
        typer.Option(
            metavar="STATE",
            parser=one_of(ConnectionState),
            help=f"Only this state: {', '.join(ConnectionState)}.",
        ),
    ] = None,
    client: Annotated[
        str | None,
        typer.Option("--app", metavar="NAME", help="Only this app, by its name or its id."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=1, metavar="N", help="Show N connections at most."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List connections: app, the app's user id, user, state, how they were made, until when."""
    with open_service() as service:
        apps = service.database.run(lambda session: ClientRepository(session).all())
        names = {view.client_id: view.name for view in apps}
        client_id = None if client is None else find_app(service, client)
        for number, view in enumerate(_connections(service, client_id, state), 1):
            name = names.get(view.client_id, str(view.client_id))
            print(_json(name, view) if as_json else _line(name, view))
            if number == limit:
                break


@app.command()
def refresh(
    user: Annotated[
        str, typer.Argument(metavar="USER", help="The service's id; with --app, the app's own id.")
    ],
    client: Annotated[
        str | None, typer.Option("--app", metavar="NAME", help="The app whose user it is.")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, metavar="N", help="How many seconds to wait for the result.")
    ] = 30.0,
) -> None:
    """Have a worker refresh a user's tokens now, and say what came of it."""
    with open_service() as service:
        found = _tokens_of(service, user, client)
        if not found:
            raise LinkNotFoundError
        Deployment.of(service.settings, service.database, REDIS_TIMEOUT).claim()
        refreshed = [_refresh(service, tokens, wait) for tokens in found]
    if not all(refreshed):
        raise typer.Exit(1)


def _connections(
    service: Service, client_id: uuid.UUID | None, state: ConnectionState | None
) -> Iterator[ConnectionView]:
    """Read page by page: there may be millions."""

    def page_after(after: ConnectionKey | None) -> ConnectionPage:
        return service.database.run(
            lambda session: ConnectionRepository(session).page(_PAGE, after, client_id, state)
        )

    page = page_after(None)
    yield from page.connections
    while page.next_after is not None:
        page = page_after(page.next_after)
        yield from page.connections


def _line(app_name: str, view: ConnectionView) -> str:
    garmin = view.garmin
    reason = f" ({garmin.standing.reason})" if garmin.standing.reason else ""
    return line(
        app_name,
        view.client_user_id,
        view.user_id,
        f"{garmin.standing.state}{reason} since {moment(garmin.standing.since)}",
        f"{garmin.method}, {garmin.access}, {garmin.driver}",
        f"renewable until {moment(garmin.refresh_expires_at)}",
    )


def _json(app_name: str, view: ConnectionView) -> str:
    who = {"app": app_name, "user_id": view.client_user_id, "user": view.user_id}
    return json_line({**who, "domain": view.garmin.domain, **token_values(view.garmin)})


def _tokens_of(service: Service, user: str, client: str | None) -> list[RefreshableTokens]:
    """Return the tokens to refresh. Raises LinkNotFoundError, UnknownClientError."""
    keyring = service.keyring
    if client is None:
        user_id = user_or_own_id(user)
        return service.database.run(lambda session: RefreshLog(session, keyring).of_user(user_id))
    client_id = find_app(service, client)
    view = service.database.run(lambda session: ConnectionRepository(session).view(client_id, user))
    tokens = _tokens(service, view.token_id)
    return [] if tokens is None else [tokens]


def _tokens(service: Service, token_id: uuid.UUID) -> RefreshableTokens | None:
    return service.database.run(
        lambda session: RefreshLog(session, service.keyring).tokens(token_id)
    )


def _refresh(service: Service, tokens: RefreshableTokens, wait: float) -> bool:
    """Refresh tokens, and print what became of them; return whether they were refreshed."""
    print(f"{tokens.access}, {tokens.driver}: ", end="", flush=True)
    if _needs_sign_in(tokens):
        return False
    refreshes = _refreshes(service)
    try:
        job_id = refreshes.submit(tokens.id, tokens.generation, tokens.driver)
    except RefreshFailedError as failure:
        print(f"Garmin does not renew it for now: wait {failure.retry_after} s")
        return False
    ends_at = time.monotonic() + wait
    while True:
        now = _tokens(service, tokens.id)
        if now is None:
            print("deleted meanwhile")
            return False
        if now.generation != tokens.generation:
            print(f"refreshed, access token until {moment(now.access_expires_at)}")
            return True
        if _needs_sign_in(now):
            return False
        if pause := refreshes.retry_after(tokens.id, tokens.driver):
            print(f"Garmin does not renew it for now: wait {pause} s")
            return False
        if time.monotonic() >= ends_at:
            print(f"not done yet: job {job_id} goes on")
            return False
        time.sleep(_PAUSE)


def _needs_sign_in(tokens: RefreshableTokens) -> bool:
    standing = tokens.standing
    if standing.state is not ConnectionState.SIGN_IN_REQUIRED:
        return False
    print(f"a sign-in is required since {moment(standing.since)} ({standing.reason})")
    return True


def _refreshes(service: Service) -> Refreshes:
    settings, redis = service.settings, service.redis()
    queue = JobQueue(settings.queue_url, REDIS_TIMEOUT, settings.keyspace)
    return Refreshes(
        Submitter(JobStore(redis, service.keyring, settings.job_ttl), queue),
        DriverCooldowns(redis, use=DriverUse.REFRESH),
    )
