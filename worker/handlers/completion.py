"""What a login and a checked code have in common: from Garmin's tokens to a session."""

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr

from shared.accounts.accounts import Accounts, StoredSignIn
from shared.accounts.states import Method
from shared.crypto.secret import Sealable, Secret
from shared.crypto.tokens import new_token
from shared.errors import (
    CodeLimitReachedError,
    GarminUnavailableError,
    ServiceUnavailableError,
    SignInError,
    SignInRateLimitedError,
    TokensRejectedError,
)
from shared.garmin.types import GarminIdentity, GarminTokens, SignedIn
from shared.jobs.account_limit import AccountLimit, CodeLimit, SignInLimit
from shared.jobs.states import Failure, JobStage, Outcome, Success
from shared.redis.measurements import CODES_SENT, Measurements
from shared.redis.rate_limits import RateLimitedError
from worker.chain import DriverChain
from worker.drivers.driver import Permit, Until
from worker.marks import run_of
from worker.run import PostponedError, Run

_log = logging.getLogger(__name__)


class Progress(Sealable):
    """The tokens that Garmin has issued, and the session that will be opened for them.

    `driver` signed in, if it is not the one that the tokens belong to. Session id and access token
    are generated before the database is called, so that a retry stores the same session again.
    `method` is how the person connects. `renewed`: Garmin has given the tokens to this job.
    """

    tokens: GarminTokens
    driver: str | None = None
    identity: GarminIdentity | None = None
    session_id: uuid.UUID
    access_token: Secret
    method: Method = Method.PASSWORD
    renewed: bool = True


@dataclass(frozen=True)
class Completion:
    chain: DriverChain
    accounts: Accounts
    limit: AccountLimit
    codes: CodeLimit
    measurements: Measurements = field(default_factory=Measurements)

    def admit_sign_in(self, job: Run) -> None:
        """Check the account's limits again before the password is sent.

        Raises SignInRateLimitedError.
        """
        account = job.claim.origin.account
        if account is not None:
            with _limits_translated():
                SignInLimit(self.limit, self.codes).check(account)

    def admit_code(self, job: Run) -> None:
        """Count a code before it is sent to Garmin. Raises SignInRateLimitedError."""
        account = job.claim.origin.account
        if account is not None:
            with _limits_translated():
                self.limit.begin_code(account, job.claim.job_id)

    def count_code_sent(self, job: Run) -> None:
        self.measurements.count(CODES_SENT)
        account, event = job.claim.origin.account, f"{job.claim.job_id}:{job.claim.runs}"
        if account is not None:
            job.persist(lambda: self.codes.count(account, event))

    @contextmanager
    def failures_counted(self, job: Run) -> Iterator[None]:
        """Count a SignInError that leaves the block against the account's limit."""
        try:
            yield
        except SignInError as error:
            account = job.claim.origin.account
            if account is not None and isinstance(error, CodeLimitReachedError):
                job.persist(lambda: self.codes.refuse(account))
            self._count(job, Failure.of(error))
            raise

    def keep(self, job: Run, signed_in: SignedIn) -> Progress:
        """Store the tokens, encrypted, in the job before anything else can go wrong."""
        progress = Progress(
            tokens=signed_in.tokens,
            driver=signed_in.driver,
            session_id=uuid.uuid4(),
            access_token=SecretStr(new_token()),
        )
        job.persist(lambda: job.keep_progress(JobStage.READING_PROFILE, progress))
        return progress

    def finish(self, job: Run, progress: Progress) -> Success:
        """Read the profile, unless an earlier run has, and store the account and its session.

        Raises SignInError, and PostponedError while the database is away.
        """
        identity = progress.identity or self._identify(job, progress)
        success = self.store(job, progress, identity)
        self._count(job, success)
        return success

    def _identify(self, job: Run, progress: Progress) -> GarminIdentity:
        """Read Garmin's profile; where it can't be had in time, believe the access token.

        Garmin has just given the tokens, and they must not be lost to a profile call. Raises
        SignInAgainError if Garmin's API calls them invalid: another driver's may work.
        """
        claimed: GarminIdentity | None = None
        try:
            claimed = self.chain.claimed_identity(progress.tokens)
            identity = read_profile(
                job, self.chain.identify, progress.tokens, is_needed=claimed is None
            )
        except TokensRejectedError:
            driver = progress.driver or progress.tokens.driver
            raise self.chain.reject(driver, job.claim.origin.account) from None
        except GarminUnavailableError:
            if claimed is None:
                raise
            _log.info("no profile in time: the access token says whose it is")
            identity = claimed
        job.keep_progress(JobStage.STORING, progress.model_copy(update={"identity": identity}))
        return identity

    def store(self, job: Run, progress: Progress, identity: GarminIdentity) -> Success:
        """Store the account and its session.

        Raises PostponedError while the database is away, and TokensKeptError where only tokens that
        Garmin has given to this job replace those that are stored.
        """
        # Only the first run waits for the database: later ones must not block a thread each time.
        first_run = job.claim.progress is None
        patience = job.timings.store_patience if first_run else 0.0
        job.drop_deadline()
        session_id, access_token, claim = progress.session_id, progress.access_token, job.claim

        def store() -> StoredSignIn:
            job.check()  # this thread may have stood still for longer than the lease
            return self.accounts.store(
                identity,
                progress.tokens,
                session_id,
                access_token,
                claim.origin,
                claim.began,
                run_of(claim),
                progress.method,
                replaces=progress.renewed,
            )

        try:
            stored = job.retry(store, ServiceUnavailableError, patience)
        except ServiceUnavailableError:
            raise PostponedError from None
        return Success(
            session_id=str(session_id),
            access_token=access_token,
            session_expires_at=stored.session_expires_at,
            user_id=str(stored.user_id),
            display_name=stored.display_name,
        )

    def _count(self, job: Run, outcome: Outcome) -> None:
        account = job.claim.origin.account
        if account is not None:
            job.persist(lambda: self.limit.record(account, job.claim.job_id, outcome))


def read_profile(
    job: Run,
    identify: Callable[[GarminTokens, Permit], GarminIdentity],
    tokens: GarminTokens,
    *,
    is_needed: bool,
) -> GarminIdentity:
    """Try until there is only time to store, or for less long if it is not needed."""
    timings, left = job.timings, job.check()
    patience = timings.profile_patience if left is None else left - timings.store_margin
    if not is_needed:
        patience = min(patience, timings.profile_patience)
    permit = Until(time.monotonic() + patience, job)
    return job.retry(lambda: identify(tokens, permit), GarminUnavailableError, patience)


@contextmanager
def _limits_translated() -> Iterator[None]:
    try:
        yield
    except RateLimitedError as error:
        raise SignInRateLimitedError(error.retry_after) from None
