"""`keys new`, `keys rotate`, `keys check`: the keys that seal what is stored.

To rotate: make a key, put it first in FITTRACK_ENCRYPTION_KEYS of every process and restart them,
`keys rotate`, then drop the old one when `keys check` says that nothing uses it.
"""

import base64
import secrets
from datetime import UTC, datetime
from typing import Annotated

import typer

from admin.service import open_database
from shared.database import Database
from shared.events import Event, EventKind, EventLog
from shared.origin import UNKNOWN
from shared.sealing import KEY_BYTES, Keyring
from shared.settings import Settings
from shared.tokens import SealedTokens

_BATCH = 100

app = typer.Typer(help="The keys that seal what is stored.", no_args_is_help=True)


@app.command()
def new(
    name: Annotated[
        str | None, typer.Argument(help="The key's id; this month, if not given.")
    ] = None,
) -> None:
    """Print a new key, as FITTRACK_ENCRYPTION_KEYS wants it. It is kept nowhere."""
    entry = f"{name or f'{datetime.now(UTC):%Y-%m}'}:{_random_key()}"
    Keyring.parse(entry)  # a name that would not be accepted is refused here
    print(entry)


@app.command()
def rotate() -> None:
    """Seal every stored row with the first key, in batches, while the service runs.

    Stopped half-way it loses nothing: run it again and it goes on.
    """
    settings = Settings.from_environment()
    keyring, database = settings.keyring(), open_database(settings)
    done = 0
    while True:
        sealed = database.run(lambda session: SealedTokens(session, keyring).reseal(_BATCH))
        done += sealed
        left = _left(database, keyring)
        print(f"{done} rows sealed with {keyring.sealing_key_id!r}, {left} left", flush=True)
        if not sealed:
            break
    if done:
        event = Event.of(EventKind.KEYS_ROTATED, UNKNOWN, keyring.sealing_key_id)
        database.run(lambda session: EventLog(session).append(event))
    if left:
        print("Some rows were being written just now: run this once more.")
        raise typer.Exit(1)


@app.command()
def check() -> None:
    """Tell what each key is used for, and which can be dropped."""
    settings = Settings.from_environment()
    keyring, database = settings.keyring(), open_database(settings)
    used = _count(database, keyring)
    for key_id in keyring.key_ids:
        print(f"{key_id}: {used.get(key_id, 0)} rows; {_verdict(key_id, keyring, used, settings)}")
    missing = sorted(set(used) - set(keyring.key_ids))
    for key_id in missing:
        print(f"{key_id}: {used[key_id]} rows, and NOT in FITTRACK_ENCRYPTION_KEYS: they are lost")
    if missing:
        raise typer.Exit(1)


def _verdict(key_id: str, keyring: Keyring, used: dict[str, int], settings: Settings) -> str:
    if key_id == keyring.sealing_key_id:
        return "seals what is new"
    if used.get(key_id):
        return "still needed: `keys rotate` frees it"
    minutes = -(-max(settings.job_ttl, settings.challenge_ttl) // 60)
    return (
        f"nothing stored uses it: it can be dropped {minutes} minutes after every process was "
        f"started with {keyring.sealing_key_id!r} first (jobs and challenges live that long)"
    )


def _left(database: Database, keyring: Keyring) -> int:
    counts = _count(database, keyring)
    return sum(count for key_id, count in counts.items() if key_id != keyring.sealing_key_id)


def _count(database: Database, keyring: Keyring) -> dict[str, int]:
    return database.run(lambda session: SealedTokens(session, keyring).count_by_key())


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
