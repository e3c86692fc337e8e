"""One worker that imports tokens and keys of the simulated Garmin."""

from dataclasses import dataclass, field, replace
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import select

from dev.short import SHORT
from dev.simulator import Simulator
from shared.accounts.accounts import Accounts
from shared.accounts.tokens import TokenRepository
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.database.models import GarminToken, User, UserSession
from shared.garmin.imports import Import, ImportedKey, ImportedTokens
from shared.garmin.types import GarminTokens
from shared.jobs.account_limit import AccountLimit, CodeLimit
from shared.jobs.repeats import NewJob
from shared.jobs.states import Failure, JobKind, Outcome, Success
from shared.origin import UNKNOWN, Origin
from shared.redis.connection import Redis
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.driver_keys import DriverUse
from shared.redis.password_posts import PasswordPosts
from tests.shared.jobs.both_sides import Jobs
from tests.worker.ways import GARTH, MOBILE, Way
from worker.chain import DriverChain
from worker.drivers.driver import GarminDriver
from worker.drivers.garminconnect import GarminConnectDriver
from worker.drivers.garth import GarthDriver
from worker.drivers.http import GarminAdapter
from worker.drivers.personal_api import PersonalApiDriver
from worker.handlers.completion import Completion
from worker.handlers.imports import ImportHandler
from worker.lease import LeaseKeeper
from worker.marks import RunMarks
from worker.runner import JobRunner
from worker.shares import ThreadShares

ANNA = "plain-anna@example.com"
BERT = "plain-bert@example.com"
KEY = "personal_api"
TIMINGS = replace(SHORT, profile_patience=2.0, login_deadline=8.0)


@dataclass
class Importer:
    """One worker, and the files that people have."""

    redis: Redis
    keyring: Keyring
    database: Database
    garmin: Simulator
    adapter: GarminAdapter
    job: NewJob = field(init=False)

    def __post_init__(self) -> None:
        self.jobs = Jobs(self.redis, self.keyring, 900, TIMINGS)
        self.drivers: dict[str, GarminDriver] = {
            GARTH: GarthDriver(self.adapter),
            MOBILE: GarminConnectDriver(self.adapter, TIMINGS),
            KEY: PersonalApiDriver(self.adapter),
        }
        self.cooldowns = DriverCooldowns(self.redis, TIMINGS, DriverUse.REFRESH)

    @property
    def runner(self) -> JobRunner:
        completion = Completion(
            chain=DriverChain([], DriverCooldowns(self.redis), PasswordPosts(self.redis)),
            accounts=Accounts(self.database, self.keyring, 3600),
            limit=AccountLimit(self.redis, "5/hour"),
            codes=CodeLimit(self.redis, "5/hour"),
        )
        return JobRunner(
            claims=self.jobs,
            keeper=LeaseKeeper(self.jobs, TIMINGS),
            marks=RunMarks(self.database),
            handlers={JobKind.IMPORT: ImportHandler(self.drivers, self.cooldowns, completion)},
            shares=ThreadShares(32, 25, 75),
            timings=TIMINGS,
        )

    def tokens(self, library: str, username: str = ANNA) -> GarminTokens:
        """Sign in elsewhere."""
        return Way(library, self.garmin, self.adapter).tokens(username)

    def old_tokens(self, library: str, username: str = ANNA) -> GarminTokens:
        """Sign in elsewhere, days ago: the access token is over."""
        self.garmin.advance_clock(-3 * 86400)
        tokens = self.tokens(library, username)
        self.garmin.advance_clock(3 * 86400)
        return tokens

    def submit(self, text: str, origin: Origin = UNKNOWN) -> str:
        given: ImportedTokens | ImportedKey = ImportedTokens(tokens=SecretStr(text))
        if text.startswith("key-"):
            given = ImportedKey(personal_api_key=SecretStr(text))
        work = Import(given=given)
        self.job = self.jobs.create(self.jobs.new_id(), JobKind.IMPORT, work, origin)
        return self.job.job_id

    def run(self, text: str, origin: Origin = UNKNOWN) -> Outcome:
        self.runner.run(self.submit(text, origin))
        return self.outcome()

    def outcome(self) -> Outcome:
        outcome = self.jobs.view(self.job.job_id, self.job.poll_token.get_secret_value()).outcome
        assert outcome is not None
        return outcome

    def succeed(self, text: str, origin: Origin = UNKNOWN) -> Success:
        outcome = self.run(text, origin)
        assert isinstance(outcome, Success), outcome
        return outcome

    def fail(self, text: str) -> Failure:
        outcome = self.run(text)
        assert isinstance(outcome, Failure), outcome
        return outcome

    def guid_of(self, success: Success) -> str:
        user_id = UUID(success.user_id)
        return self.database.run(lambda session: session.get_one(User, user_id).garmin_guid)

    def guid(self, username: str) -> str:
        return str(self.garmin.account(username)["profile"]["garminGUID"])

    @property
    def rows(self) -> list[GarminToken]:
        return self.database.run(lambda session: list(session.scalars(select(GarminToken))))

    @property
    def stored(self) -> GarminTokens:
        [row] = self.rows
        return self.database.run(lambda s: TokenRepository(s, self.keyring).open(row)).tokens

    @property
    def sessions(self) -> int:
        return self.database.run(lambda session: len(session.scalars(select(UserSession)).all()))

    @property
    def refreshes(self) -> int:
        return self.garmin.count("di_refreshes")


def file_of(tokens: GarminTokens) -> str:
    """Return the tokens as the library of their driver keeps them."""
    return tokens.data.get_secret_value()
