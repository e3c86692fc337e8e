"""`events`: the audit log."""

import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from pydantic import SecretStr

from admin.parameters import job_id, one_of, user_id
from admin.service import REDIS_TIMEOUT, Service, find_app, open_service
from shared.audit.delivery import deliver
from shared.audit.events import Event, EventKind
from shared.audit.log import EventFilter, EventLog
from shared.audit.outbox import EventOutbox
from shared.deployment import Deployment
from shared.errors import ServiceUnavailableError
from shared.garmin.types import Credentials, GarminDomain


def events(
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, metavar="N", help="Show the newest N events.")
    ] = 50,
    kind: Annotated[
        EventKind | None,
        typer.Option(
            metavar="KIND",
            parser=one_of(EventKind),
            help=f"Only this kind: {', '.join(EventKind)}.",
        ),
    ] = None,
    user: Annotated[
        uuid.UUID | None,
        typer.Option(metavar="ID", parser=user_id, help="Only the user with this id."),
    ] = None,
    client: Annotated[
        str | None,
        typer.Option("--app", metavar="NAME", help="Only this app, by its name or its id."),
    ] = None,
    username: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Only the Garmin account with this username; - reads it from standard input, "
            "which no list of processes and no shell's history shows.",
        ),
    ] = None,
    domain: Annotated[
        GarminDomain,
        typer.Option(
            metavar="DOMAIN",
            parser=one_of(GarminDomain),
            help="Where that account is: garmin.com or garmin.cn.",
        ),
    ] = GarminDomain.COM,
    job: Annotated[
        str | None, typer.Option(metavar="ID", parser=job_id, help="Only the job with this id.")
    ] = None,
    days: Annotated[
        float | None, typer.Option(min=0, metavar="N", help="Only the last N days.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line.")
    ] = False,
) -> None:
    """Show the audit log, newest last."""
    if username == "-":
        username = _username_from_stdin()
    with open_service() as service:
        _deliver_pending(service)
        filters = EventFilter(
            kind=kind,
            user_id=user,
            client_id=None if client is None else find_app(service, client),
            account=None if username is None else _account(service, username, domain),
            job_id=job,
            since=None if days is None else datetime.now(UTC) - timedelta(days=days),
        )
        newest = service.database.run(lambda session: EventLog(session).newest(filters, limit))
    for event in reversed(newest):
        print(event.model_dump_json(exclude_none=True) if as_json else _line(event))


def _deliver_pending(service: Service) -> None:
    """Do what workers do every second, so that the newest events are shown even without one."""
    with service.redis() as redis:
        outbox = EventOutbox(redis)
        try:
            Deployment.of(service.settings, service.database, REDIS_TIMEOUT).claim()
            while deliver(outbox, service.database):
                pass
        except ServiceUnavailableError as error:
            warning = f"{error.what} does not answer: the newest events may be missing"
            print(f"fittrack-auth-admin: {warning}", file=sys.stderr)


def _username_from_stdin() -> str:
    """Read one line. Raises typer.BadParameter if it is empty."""
    if sys.stdin.isatty():
        print("Garmin username: ", end="", file=sys.stderr, flush=True)
    username = sys.stdin.readline().strip()
    if not username:
        raise typer.BadParameter("there is no username on standard input")
    return username


def _account(service: Service, username: str, domain: GarminDomain) -> str:
    credentials = Credentials(username=SecretStr(username), password=SecretStr(""), domain=domain)
    return service.keyring.hash_name(credentials.account)


def _line(event: Event) -> str:
    details = {
        "user": event.user_id,
        "account": event.account and event.account[:12],
        "client": event.client_id,
        "session": event.session_id,
        "job": event.job_id,
        "address": event.address,
        "request": event.request_id,
    }
    pairs = " ".join(f"{name}={value}" for name, value in details.items() if value)
    return f"{event.at:%Y-%m-%dT%H:%M:%SZ} {event.kind:<17} {event.outcome} {pairs}".rstrip()
