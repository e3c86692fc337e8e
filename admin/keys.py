"""`keys new`, `keys rotate`, `keys check`: the keys that seal secrets.

docs/operations.md describes a rotation step by step.
"""

import base64
import secrets
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from admin.service import Service, open_service
from shared.audit.events import Event, EventKind
from shared.audit.log import EventLog
from shared.crypto.keyring import KEY_BYTES, Keyring
from shared.database.sealed_rows import KINDS, ResealedBatch, SealedKind, SealedRows
from shared.errors import ConfigurationError
from shared.origin import UNKNOWN
from shared.settings import Settings
from shared.timings import PRODUCTION

_BATCH = 100

app = typer.Typer(
    help="Manage the keys that seal secrets.", no_args_is_help=True, rich_markup_mode=None
)


@app.command()
def new(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The key's name; by default this month.")
    ] = None,
) -> None:
    """Print a new key for FITTRACK_ENCRYPTION_KEYS.

    It is not stored anywhere.
    """
    key = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    entry = f"{name or f'{datetime.now(UTC):%Y-%m}'}:{key}"
    try:
        Keyring.parse(entry)
    except ConfigurationError:
        message = "must be 1 to 32 letters, digits, dashes or underscores"
        raise typer.BadParameter(message, param_hint="NAME") from None
    print(entry)


@app.command()
def rotate() -> None:
    """Seal all stored tokens and secrets of webhooks with the first key.

    Safe while the service runs. If interrupted, run it again.
    """
    with open_service() as service:
        key_id = service.keyring.sealing_key_id
        sealed, broken = 0, 0
        for batch in _reseal(service):
            sealed, broken = sealed + batch.sealed, broken + len(batch.broken)
            for value in batch.broken:
                print(f"{value} do not open with any key: left unchanged")
            print(f"{_rows(sealed)} sealed", flush=True)
        if sealed:
            event = Event.of(EventKind.KEYS_ROTATED, UNKNOWN, key_id)
            service.database.run(lambda session: EventLog(session).append(event))
        left = sum(count for key, count in _count_rows(service).items() if key != key_id)
    print(f"{_rows(sealed)} sealed with {key_id!r}, {left} left")
    if left > broken:
        print("Some rows were being written: run this command again.")
    if left:
        raise typer.Exit(1)


@app.command()
def check() -> None:
    """Show how much each key seals, and which keys can be dropped."""
    with open_service() as service:
        counts = _count_rows(service)
    keyring = service.keyring
    for key_id in keyring.key_ids:
        count = counts.get(key_id, 0)
        print(f"{key_id}: {_rows(count)}; {_advice(key_id, count, keyring, service.settings)}")
    missing = sorted(set(counts) - set(keyring.key_ids))
    for key_id in missing:
        print(
            f"{key_id}: {_rows(counts[key_id])}; NOT in FITTRACK_ENCRYPTION_KEYS: without this key "
            "what they hold is lost"
        )
    if missing:
        raise typer.Exit(1)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _advice(key_id: str, count: int, keyring: Keyring, settings: Settings) -> str:
    if key_id == keyring.sealing_key_id:
        return "seals new tokens"
    if count:
        return "still needed: run `keys rotate`"
    hours = -(-max(settings.job_ttl, settings.challenge_ttl, PRODUCTION.progress_ttl) // 3600)
    advice = (
        f"unused: can be dropped {hours} hours after every process was restarted with "
        f"{keyring.sealing_key_id!r} first"
    )
    if key_id == keyring.key_ids[-1]:
        advice += (
            "\n  (account names are hashed with it: once removed, the audit log shows new hashes)"
        )
    return advice


def _reseal(service: Service) -> Iterator[ResealedBatch]:
    """Reseal batch by batch until no row is left to look at."""

    def reseal(kind: SealedKind, after: uuid.UUID | None, session: Session) -> ResealedBatch:
        return SealedRows(session, service.keyring, kind).reseal(_BATCH, after)

    for kind in KINDS:
        batch = service.database.run(partial(reseal, kind, None))
        while batch.last is not None:
            yield batch
            batch = service.database.run(partial(reseal, kind, batch.last))


def _count_rows(service: Service) -> Counter[str]:
    def count(session: Session) -> Counter[str]:
        kinds = (SealedRows(session, service.keyring, kind) for kind in KINDS)
        return sum((Counter(rows.count_by_key()) for rows in kinds), Counter())

    return service.database.run(count)
