"""`import`: connect an app's user with tokens that the operator has been given."""

import json
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import SecretStr

from admin.service import REDIS_TIMEOUT, Service, open_service
from shared.accounts.clients import ClientRepository
from shared.accounts.sessions import SessionRepository
from shared.errors import JobNotFoundError
from shared.garmin.imports import Import, ImportedTokens
from shared.garmin.types import GarminDomain
from shared.jobs.queue import JobQueue
from shared.jobs.repeats import NewJob
from shared.jobs.states import Failure, JobKind, PolledOutcome, Success
from shared.jobs.store import JobStore
from shared.jobs.submission import Submission, Submitter
from shared.origin import Origin
from shared.timings import PRODUCTION

_STDIN = Path("-")
_LONGEST = 1 << 16
_LONGEST_USER_ID = 128
_GARTH_FILES = ("oauth1_token.json", "oauth2_token.json")
_PAUSE = 0.2
_PATIENCE = PRODUCTION.login_deadline + 60


def import_tokens(
    app: Annotated[str, typer.Argument(metavar="APP", help="The app's name.")],
    user_id: Annotated[
        str, typer.Argument(metavar="USER_ID", help="The app's own id for the person.")
    ],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="The tokens; a folder with garth's two files, or - for stdin."
        ),
    ],
    domain: Annotated[
        GarminDomain | None, typer.Option(help="Where the account lives, if no token says so.")
    ] = None,
) -> None:
    """Connect a user of an app with the tokens of garth or garminconnect in FILE.

    A worker asks Garmin whose they are. Tokens of garminconnect are moved: delete them where they
    came from. Once one program has renewed them, no other one can.
    """
    if not 1 <= len(user_id) <= _LONGEST_USER_ID or not user_id.isprintable():
        _fail(2, "a user id is 1 to 128 characters, without control characters")
    given = ImportedTokens(tokens=SecretStr(_read(file)))
    with open_service() as service:
        outcome = _run(service, Import(given=given, domain=domain), app, user_id)
    match outcome:
        case Success():
            print(f"{app}: connected to {outcome.display_name}")
            if outcome.exclusive:
                print("Moved: delete these tokens where they came from.", file=sys.stderr)
        case Failure():
            _fail(1, f"{outcome.code}: {outcome.message}")
        case _:
            _fail(3, "no worker has answered: is one running?")


def _run(service: Service, work: Import, app: str, user_id: str) -> PolledOutcome | None:
    """Have a worker import; return the outcome, None if there is none in time."""
    client = service.database.run(lambda session: ClientRepository(session).named(app))
    account = service.keyring.hash_name(work.name)
    origin = Origin(client_id=client.client_id, client_user_id=user_id, account=account)
    settings, redis = service.settings, service.redis()
    jobs = JobStore(redis, service.keyring, settings.job_ttl)
    queue = JobQueue(settings.queue_url, REDIS_TIMEOUT, settings.keyspace)
    job = Submitter(jobs, queue).submit(Submission(JobKind.IMPORT, work, origin))
    outcome = _ended(jobs, job)
    if isinstance(outcome, Success):
        _end_session(service, uuid.UUID(outcome.session_id), origin)
    return outcome


def _ended(jobs: JobStore, job: NewJob) -> PolledOutcome | None:
    until, poll_token = time.monotonic() + _PATIENCE, job.poll_token.get_secret_value()
    with suppress(JobNotFoundError):  # it has expired
        while time.monotonic() < until:
            view = jobs.view(job.job_id, poll_token)
            if view.outcome is not None:
                return view.outcome
            time.sleep(_PAUSE)
    return None


def _end_session(service: Service, session_id: uuid.UUID, origin: Origin) -> None:
    """Nobody holds the token of the session that the import has opened."""
    idle = service.settings.session_idle_ttl
    service.database.run(lambda session: SessionRepository(session, idle).end(session_id, origin))


def _read(path: Path) -> str:
    try:
        if path == _STDIN:
            return sys.stdin.read(_LONGEST)
        if path.is_dir():
            parts = [path / name for name in _GARTH_FILES]
            files = [part for part in parts if part.is_file()] or [path / "garmin_tokens.json"]
            return json.dumps([_text(part) for part in files])
        return _text(path)
    except (OSError, ValueError):  # ValueError: not UTF-8
        _fail(2, "this file can't be read")


def _text(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(_LONGEST)


def _fail(code: int, message: str) -> NoReturn:
    print(f"fittrack-auth-admin: {message}", file=sys.stderr)
    raise typer.Exit(code)
