"""One worker that refreshes the tokens of one person, with a driver that answers as it is told."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import SecretStr
from sqlalchemy import select

from dev.short import SHORT
from shared.accounts.accounts import Accounts
from shared.accounts.refreshes import Holder, RefreshLog
from shared.accounts.tokens import StoredTokens, TokenRepository
from shared.crypto.keyring import Keyring
from shared.crypto.tokens import new_token
from shared.database.engine import Database
from shared.database.models import AuthEvent, GarminToken
from shared.garmin.types import GarminTokens
from shared.jobs.states import JobKind, RefreshRequest
from shared.redis.connection import Redis
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.driver_keys import DriverUse
from shared.redis.key_refusals import KeyRefusals
from shared.redis.measurements import Measurements
from tests.shared.jobs.both_sides import Jobs
from tests.shared.samples import ANNA, garmin_tokens
from tests.worker.scripted import ScriptedDriver
from worker.drivers.driver import Permit
from worker.handlers.refresh import RefreshHandler
from worker.lease import LeaseKeeper
from worker.marks import RunMarks
from worker.runner import JobRunner
from worker.shares import ThreadShares

DRIVER = "garminconnect"


@dataclass
class RefreshingDriver(ScriptedDriver):
    """Answers each refresh with the next of `answers`: an error, tokens, or what a call returns."""

    answers: list[Exception | GarminTokens | Callable[[], GarminTokens]] = field(
        default_factory=list
    )
    sent: list[str] = field(default_factory=list)

    def refresh(self, tokens: GarminTokens, permit: Permit) -> GarminTokens:
        permit.check()
        self.sent.append(tokens.data.get_secret_value())
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, GarminTokens) else answer()


@dataclass
class Service:
    """One worker, and the tokens of Anna."""

    redis: Redis
    keyring: Keyring
    database: Database

    def __post_init__(self) -> None:
        self.jobs = Jobs(self.redis, self.keyring, 900, SHORT)
        self.driver = RefreshingDriver(DRIVER)
        self.cooldowns = DriverCooldowns(self.redis, SHORT, DriverUse.REFRESH)
        self.accounts = Accounts(self.database, self.keyring, 3600)
        self.measurements = Measurements()
        self.sign_in("old")

    def runner(self, database: Database | None = None) -> JobRunner:
        handler = RefreshHandler(
            {DRIVER: self.driver},
            self.cooldowns,
            KeyRefusals(self.redis, SHORT),
            database or self.database,
            self.keyring,
            self.measurements,
        )
        return JobRunner(
            claims=self.jobs,
            keeper=LeaseKeeper(self.jobs, SHORT),
            marks=RunMarks(self.database),
            handlers={JobKind.REFRESH: handler},
            shares=ThreadShares(32, 25, 75),
            timings=SHORT,
            measurements=self.measurements,
        )

    def sign_in(self, data: str) -> None:
        tokens = garmin_tokens(data, driver=DRIVER, refreshable=timedelta(days=30))
        self.accounts.store(ANNA, tokens, uuid.uuid4(), SecretStr(new_token()))

    @property
    def row(self) -> GarminToken:
        return self.database.run(lambda s: s.scalars(select(GarminToken)).one())

    @property
    def stored(self) -> StoredTokens:
        return self.database.run(
            lambda s: TokenRepository(s, self.keyring).open(s.scalars(select(GarminToken)).one())
        )

    def begin(
        self, job_id: str, seconds: float = -1, *, run: int = 1, owner: str = "worker"
    ) -> StoredTokens | None:
        row, holder = self.row, Holder(job_id, run, owner)

        stored = self.database.run_statement(
            lambda s: RefreshLog(s, self.keyring).begin(row.id, row.generation, holder, seconds)
        )
        if stored is None:
            self.database.run(lambda s: RefreshLog(s, self.keyring).refused(row.id, row.generation))
        return stored

    def postpone(self) -> None:
        row = self.row
        self.database.run(
            lambda s: RefreshLog(s, self.keyring).postpone(row.id, row.generation, 5, ended=False)
        )

    def submit(self) -> str:
        row = self.row
        work = RefreshRequest(token_id=row.id, generation=row.generation)
        return self.jobs.create(self.jobs.new_id(), JobKind.REFRESH, work).job_id

    def refresh(self, *answers: Exception | GarminTokens | Callable[[], GarminTokens]) -> str:
        """Run a refresh job that Garmin answers so; return its result code."""
        self.driver.answers = list(answers)
        result = self.runner().run(self.submit())
        assert not self.driver.answers, "Garmin was asked less often"
        return result

    def events(self) -> list[str]:
        rows = self.database.run(lambda s: list(s.scalars(select(AuthEvent))))
        return [event.outcome for event in rows if event.kind == "state_changed"]


def new(data: str = "new") -> GarminTokens:
    return garmin_tokens(data, driver=DRIVER, refreshable=timedelta(days=30))
