"""A running API, and the stores with which a test plays the worker."""

import asyncio
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
import uvicorn
from pydantic import SecretStr
from uvicorn.config import HTTPProtocolType

from api.startup import start
from dev.processes import Process
from dev.servers import RedisServer
from dev.stack import LIMITS_OFF, Stack, new_key
from shared.accounts.accounts import Accounts
from shared.accounts.clients import ClientRepository
from shared.connect.store import ConnectSessions
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.garmin.types import (
    CodeSubmission,
    Credentials,
    GarminDomain,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
)
from shared.jobs.challenges import ChallengeStore, NewChallenge
from shared.jobs.claims import Claim
from shared.jobs.states import Success
from shared.origin import UNKNOWN, Origin
from shared.redis.connection import Redis, connect
from shared.timings import PRODUCTION, Timings
from tests.databases import migrated_sqlite
from tests.logs import kept_logging
from tests.programs import PROGRAMS
from tests.shared.jobs.both_sides import Jobs

LOGIN = "/api/garmin/login"
CODE = "/api/garmin/login/mfa-complete"
IMPORT = "/api/garmin/import"
CREDENTIALS = {"username": "runner@example.com", "password": "correct horse"}
LONGEST_WAIT = 30
PATIENCE = LONGEST_WAIT / 2
"""How long a test waits: less than the longest poll, so that it can tell a poll that was woken from
one that timed out."""


@dataclass(frozen=True)
class Job:
    """A submitted job, as its client knows it."""

    job_id: str
    poll_token: str

    @property
    def path(self) -> str:
        return f"/api/jobs/{self.job_id}"

    @property
    def headers(self) -> dict[str, str]:
        return bearer(self.poll_token)


@dataclass(frozen=True)
class Account:
    """A person who is signed in."""

    user_id: UUID
    session_id: UUID
    access_token: str
    session_expires_at: datetime
    tokens: GarminTokens

    @property
    def headers(self) -> dict[str, str]:
        return bearer(self.access_token)


class Service:
    """One API process with its stores. The test plays the worker."""

    def __init__(self, stack: Stack, api: Process) -> None:
        self.stack = stack
        self.api = api
        settings = stack.settings
        self.keyring = keyring = Keyring.parse(settings["FITTRACK_ENCRYPTION_KEYS"])
        # Patient, so that a test can stop and start Redis.
        self.redis: Redis = connect(settings["FITTRACK_REDIS_URL"], timeout=5, patience=10)
        self.jobs = Jobs(self.redis, keyring, 900)
        self.connect = ConnectSessions(self.redis, keyring)
        self.challenges = ChallengeStore(self.redis, keyring, ttl=600, attempts=3)
        self.database = Database(settings["FITTRACK_DATABASE_URL"])
        self.accounts = Accounts(self.database, keyring, session_ttl=3600)
        self.client = httpx.Client(base_url=stack.url, trust_env=False, timeout=PATIENCE)

    def close(self) -> None:
        self.client.close()
        self.database.close()
        self.redis.close()

    def submit(self, body: Mapping[str, Any] | None = None, **headers: str) -> Job:
        """Submit a sign-in, for a new person by default."""
        person = {"username": f"{uuid4().hex}@example.com", "password": "correct horse"}
        reply = self.client.post(LOGIN, json=dict(body or person), headers=headers)
        assert reply.status_code == 202, reply.text
        return Job(reply.json()["job_id"], reply.json()["poll_token"])

    def send_code(self, challenge_id: str, code: str = "123456") -> httpx.Response:
        return self.client.post(CODE, json={"challenge_id": challenge_id, "mfa_code": code})

    def poll(
        self, job: Job, wait: int = 0, seen: str | None = None, timeout: float = PATIENCE
    ) -> httpx.Response:
        query = {"wait": wait or None, "seen": seen}
        given = {name: value for name, value in query.items() if value is not None}
        return self.client.get(job.path, params=given, headers=job.headers, timeout=timeout)

    def claim(self, job: Job) -> Claim:
        return self.jobs.claim(job.job_id, owner=uuid4().hex)

    def end_with_a_bug(self, job: Job, text: str) -> None:
        """End the job as no worker does: the time without a zone breaks its poll."""
        ended = Success(
            session_id=str(uuid4()),
            access_token=SecretStr(text),
            session_expires_at=datetime(2031, 2, 3),  # noqa: DTZ001
            user_id=str(uuid4()),
            display_name=text,
        )
        self.jobs.end(self.claim(job), ended)

    def credentials_of(self, job: Job) -> Credentials:
        """The credentials that the worker gets."""
        credentials = self.jobs.open_input(self.claim(job), Credentials)
        assert credentials is not None
        return credentials

    def code_of(self, job: Job) -> CodeSubmission:
        """The code that the worker gets."""
        submission = self.jobs.open_input(self.claim(job), CodeSubmission)
        assert submission is not None
        return submission

    def ask_for_code(self, destination: str | None = "ru***@example.com") -> NewChallenge:
        """Create a challenge, as a worker does."""
        return self.challenges.create(pending(destination))

    def sign_in(self, guid: str | None = None, origin: Origin = UNKNOWN) -> Account:
        """Create a session with Garmin tokens; the same `guid` is the same person."""
        now = datetime.now(UTC).replace(microsecond=0)
        tokens = GarminTokens(
            driver="garth",
            domain=GarminDomain.COM,
            data=SecretStr('{"oauth2": {"access_token": "garmin-access"}}'),
            access_expires_at=now + timedelta(days=1),
            refresh_expires_at=now + timedelta(days=300),
        )
        identity = GarminIdentity(guid=guid or uuid4().hex, display_name="Läufer 🏃")
        session_id, access_token = uuid4(), secrets.token_urlsafe(32)
        stored = self.accounts.store(identity, tokens, session_id, SecretStr(access_token), origin)
        expires_at = stored.session_expires_at
        return Account(stored.user_id, session_id, access_token, expires_at, tokens)

    def app_with_link(self, user_id: str, name: str = "") -> dict[str, str]:
        """Create an app with a link to this id; return its header."""
        client, key = self.database.run(
            lambda session: ClientRepository(session).add(name or uuid4().hex)
        )
        self.sign_in(origin=Origin(client_id=client.client_id, client_user_id=user_id))
        return {"X-Client-Key": key}

    def keys(self) -> set[str]:
        """The names of all keys in Redis but the mark that the API itself renews."""
        names = {key.decode() for key in self.redis.scan_iter()}
        return names - {"fittrack:deployment"}

    def kept(self) -> set[str]:
        """The names of all keys in Redis that belong to a job or challenge.

        Limits and the audit log also count refused submissions; indexes only hold job ids.
        """
        names = {key.decode() for key in self.redis.scan_iter("fittrack:*")}
        others = ("celery:", "deployment", "events", "jobs:", "limit:")
        return {name for name in names if not name.removeprefix("fittrack:").startswith(others)}

    def count_reads(self) -> None:
        """Start counting reads of jobs, for `until_read`."""
        self.redis.config_resetstat()

    def until_read(self, times: int) -> None:
        """Wait for that many reads of jobs: a long poll reads once, then waits."""
        eventually(lambda: self._reads() >= times)

    def until_listening(self) -> None:
        """Wait until the API has subscribed to changes of jobs."""
        eventually(lambda: _subscribers(self.redis) >= 1)

    @contextmanager
    def polling(
        self, job: Job, wait: int = LONGEST_WAIT, seen: str | None = None
    ) -> Iterator[Future[httpx.Response]]:
        """Start a poll, and wait until it waits."""
        self.until_listening()
        self.count_reads()
        with ThreadPoolExecutor(1) as pool:
            poll = pool.submit(self.poll, job, wait, seen, LONGEST_WAIT + PATIENCE)
            self.until_read(1)
            yield poll

    def _reads(self) -> int:
        statistics = cast("dict[str, dict[str, int]]", self.redis.info("commandstats"))
        return statistics.get("cmdstat_hmget", {}).get("calls", 0)


def pending(destination: str | None = None) -> PendingSignIn:
    return PendingSignIn(
        driver="garth",
        domain=GarminDomain.COM,
        mfa_type="email",
        mfa_destination=destination,
        state=SecretStr('{"cookies": []}'),
    )


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait until the condition holds."""
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, "timed out"
        time.sleep(0.02)


def settings(redis_url: str, folder: Path, **more: str) -> dict[str, str]:
    return {
        "FITTRACK_REDIS_URL": redis_url,
        "FITTRACK_DATABASE_URL": f"sqlite:///{folder}/api.db",
        "FITTRACK_ENCRYPTION_KEYS": new_key(),
        **LIMITS_OFF,
        **more,
    }


@contextmanager
def running(folder: Path, values: Mapping[str, str]) -> Iterator[Service]:
    """Run an API over a migrated database."""
    migrated_sqlite(Path(values["FITTRACK_DATABASE_URL"].removeprefix("sqlite:///")))
    with Stack(folder, values, programs=PROGRAMS, migrated=True) as stack:
        service = Service(stack, stack.begin_api().wait_ready())
        try:
            yield service
        finally:
            service.close()


@contextmanager
def running_alone(folder: Path, **more: str) -> Iterator[Service]:
    """An API with a Redis of its own, which outlives a test."""
    folder.mkdir(exist_ok=True)
    with RedisServer(folder) as redis, running(folder, settings(redis.url, folder, **more)) as api:
        yield api


@contextmanager
def in_process(
    values: Mapping[str, str],
    implementation: HTTPProtocolType | type[asyncio.Protocol] = "auto",
    timings: Timings = PRODUCTION,
) -> Iterator[httpx.Client]:
    """Serve the API from a thread, for tests of its answers under settings of their own."""
    with pytest.MonkeyPatch.context() as environment, kept_logging():
        for name, value in values.items():
            environment.setenv(name, value)
        app = start(timings)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, http=implementation))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            eventually(lambda: server.started)
            port = server.servers[0].sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


def _subscribers(redis: Redis) -> int:
    [(_, count)] = cast("list[tuple[bytes, int]]", redis.pubsub_numsub("fittrack:jobs"))
    return count
