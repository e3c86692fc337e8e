"""`keys new`, `keys rotate`, `keys check`: the keys that seal what is stored.

To rotate: make a key and put it first in FITTRACK_ENCRYPTION_KEYS of every process. Stop the
workers, restart every API, start the workers: a process without the new key can't open what one
that has it seals. Then `keys rotate`, and drop the old one when `keys check` says so.
"""

import base64
import secrets
from datetime import UTC, datetime
from typing import Annotated

import typer

from admin.service import open_database
from shared.accounts.tokens import SealedTokens
from shared.audit.events import Event, EventKind
from shared.audit.log import EventLog
from shared.crypto.keyring import KEY_BYTES, Keyring
from shared.database.engine import Database
from shared.origin import UNKNOWN
from shared.settings import Settings
from shared.timings import PRODUCTION

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
    keyring, database = (
        Keyring.parse(settings.encryption_keys.get_secret_value()),
        open_database(settings),
    )
    done, broken, after = 0, 0, None
    while True:
        batch = database.run(
            lambda session, after=after: SealedTokens(session, keyring).reseal(_BATCH, after)  # type: ignore[misc]
        )
        done, broken, after = done + batch.sealed, broken + len(batch.broken), batch.last
        for user_id in batch.broken:
            print(f"user {user_id}: the tokens do not open with any of the keys: left as they are")
        left = _left(database, keyring)
        if after is None and done:
            break
        print(f"{done} rows sealed with {keyring.sealing_key_id!r}, {left} left", flush=True)
        if after is None:
            break
    if done:
        event = Event.of(EventKind.KEYS_ROTATED, UNKNOWN, keyring.sealing_key_id)
        database.run(lambda session: EventLog(session).append(event))
    if left > broken:
        print("Some rows were being written just now: run this once more.")
    if left:
        raise typer.Exit(1)


@app.command()
def check() -> None:
    """Tell what each key is used for, and which can be dropped."""
    settings = Settings.from_environment()
    keyring, database = (
        Keyring.parse(settings.encryption_keys.get_secret_value()),
        open_database(settings),
    )
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
    hours = -(-max(settings.job_ttl, settings.challenge_ttl, PRODUCTION.progress_ttl) // 3600)
    names = ""
    if key_id == keyring.key_ids[-1]:
        names = "; names are hashed with it: the audit log knows accounts by new hashes then"
    return (
        f"nothing stored uses it: it can be dropped {hours} hours after every process was "
        f"started with {keyring.sealing_key_id!r} first (jobs live that long){names}"
    )


def _left(database: Database, keyring: Keyring) -> int:
    counts = _count(database, keyring)
    return sum(count for key_id, count in counts.items() if key_id != keyring.sealing_key_id)


def _count(database: Database, keyring: Keyring) -> dict[str, int]:
    return database.run(lambda session: SealedTokens(session, keyring).count_by_key())


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
