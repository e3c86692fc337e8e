"""`events`: the audit log."""

import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from pydantic import SecretStr

from admin.service import open_database
from shared.audit.delivery import deliver
from shared.audit.events import Event, EventKind
from shared.audit.log import EventFilter, EventLog
from shared.audit.outbox import EventOutbox
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.errors import ServiceUnavailableError
from shared.garmin.types import Credentials, GarminDomain
from shared.redis.connection import connect
from shared.settings import Settings

_REDIS_TIMEOUT = 5.0


def events(
    most: Annotated[int, typer.Option("--limit", "-n", min=1, help="The newest so many.")] = 50,
    kind: Annotated[EventKind | None, typer.Option(help="Of one kind.")] = None,
    user: Annotated[uuid.UUID | None, typer.Option(help="Of the user with this id.")] = None,
    username: Annotated[
        str | None, typer.Option(help="Of the Garmin account with this name.")
    ] = None,
    domain: Annotated[GarminDomain, typer.Option(help="Where that lives.")] = GarminDomain.COM,
    job: Annotated[str | None, typer.Option(help="Of the job with this id.")] = None,
    days: Annotated[float | None, typer.Option(min=0, help="Of the last so many days.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show the audit log, the newest last."""
    settings = Settings.from_environment()
    database = open_database(settings)
    _bring_what_waits(settings, database)
    account = None
    if username is not None:
        named = Credentials(
            username=SecretStr(username), password=SecretStr(""), domain=domain
        ).account
        account = Keyring.parse(settings.encryption_keys.get_secret_value()).hash_name(named)
    since = None if days is None else datetime.now(UTC) - timedelta(days=days)
    which = EventFilter(kind, user, account, job, since)
    for event in reversed(database.run(lambda session: EventLog(session).newest(which, most))):
        print(event.model_dump_json(exclude_none=True) if as_json else _line(event))


def _bring_what_waits(settings: Settings, database: Database) -> None:
    """A worker does it every second; without one, or in the second between, it is done here."""
    with connect(settings.redis_url.get_secret_value(), timeout=_REDIS_TIMEOUT) as redis:
        outbox = EventOutbox(redis)
        try:
            while deliver(outbox, database):
                pass
        except ServiceUnavailableError as error:
            text = f"the {error.what} does not answer: the newest events may be missing"
            print(f"fittrack-auth-admin: {text}", file=sys.stderr)


def _line(event: Event) -> str:
    told = {
        "user": event.user_id,
        "account": event.account and event.account[:12],
        "client": event.client_id,
        "session": event.session_id,
        "job": event.job_id,
        "address": event.address,
        "request": event.request_id,
    }
    more = " ".join(f"{name}={value}" for name, value in told.items() if value)
    return f"{event.at:%Y-%m-%dT%H:%M:%SZ} {event.kind:<17} {event.outcome} {more}".rstrip()
