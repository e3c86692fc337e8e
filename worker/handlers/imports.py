"""The import of tokens that a person already has, or of a Personal API key.

Whose they are is asked of Garmin: what the tokens say of themselves may be forged. An access token
proves little, since apps have it too: what is stored already is only replaced by tokens that Garmin
has renewed. Some refresh tokens work once, so that what a renewal brings is sealed into the job
before anything else.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from shared.accounts.states import Method, is_exclusive
from shared.accounts.tokens import TokensKeptError
from shared.crypto.tokens import new_token
from shared.errors import (
    ClientRefusedError,
    DriverFailedError,
    GarminRateLimitedError,
    GarminUnavailableError,
    GarminUnreachableError,
    TimedOutError,
    TokensRejectedError,
)
from shared.garmin.imports import (
    Import,
    ImportedKey,
    ImportRejectedError,
    KeyRejectedError,
)
from shared.garmin.types import GarminDomain, GarminIdentity, GarminTokens
from shared.jobs.states import Failure, JobStage, Outcome, Success
from shared.redis.driver_cooldowns import DriverCooldowns, DriverRestsError
from worker.drivers.driver import GarminDriver
from worker.drivers.token_forms import read_tokens
from worker.handlers.completion import Completion, Progress, read_profile
from worker.run import Run
from worker.turns import reported

_KEY_DRIVER = "personal_api"
_SHORTEST_LIFE = timedelta(minutes=1)


class ImportProgress(Progress):
    renewed: bool = False


@dataclass(frozen=True)
class ImportHandler:
    """`drivers` are all that are known, `cooldowns` those of refreshes."""

    drivers: Mapping[str, GarminDriver]
    cooldowns: DriverCooldowns
    completion: Completion

    def run(self, job: Run) -> Outcome:
        progress = job.progress(ImportProgress) or self._begin(job)
        try:
            success = self._store(job, progress)
        except TokensKeptError:
            progress = self._renewed(job, progress)
            success = self._store(job, progress)
        exclusive = is_exclusive(progress.tokens.driver)
        return success.model_copy(update={"exclusive": exclusive})

    def _store(self, job: Run, progress: ImportProgress) -> Success:
        if progress.identity is None:
            progress = self._identified(job, progress)
        assert progress.identity is not None  # noqa: S101 - for the type checker
        return self.completion.store(job, progress, progress.identity)

    def time_out(self, job: Run) -> Failure:  # noqa: ARG002, RUF100 - the interface
        return Failure.of(TimedOutError())

    def _begin(self, job: Run) -> ImportProgress:
        work = job.input(Import)
        is_key = isinstance(work.given, ImportedKey)
        progress = ImportProgress(
            tokens=_tokens(work),
            session_id=uuid.uuid4(),
            access_token=SecretStr(new_token()),
            method=Method.PERSONAL_API_KEY if is_key else Method.IMPORT,
        )
        is_over = progress.tokens.access_expires_at < datetime.now(UTC) + _SHORTEST_LIFE
        return self._renewed(job, progress) if is_over else progress

    def _identified(self, job: Run, progress: ImportProgress) -> ImportProgress:
        """Ask Garmin whose the tokens are; renew them first if it calls the access token dead."""
        try:
            identity = self._identify(job, progress)
        except TokensRejectedError:
            if progress.renewed:
                raise _rejection(progress.method) from None
            return self._identified(job, self._renewed(job, progress))
        progress = progress.model_copy(update={"identity": identity})
        job.persist(lambda: job.keep_progress(JobStage.STORING, progress))
        return progress

    def _identify(self, job: Run, progress: ImportProgress) -> GarminIdentity:
        """Read the profile; where that can't be had, believe tokens that Garmin has just given.

        They must not be lost to a profile call: those that they replace may be dead.
        """
        driver = self._driver(progress.tokens)
        claimed = driver.claimed_identity(progress.tokens) if progress.renewed else None
        try:
            return read_profile(job, driver.identify, progress.tokens, is_needed=claimed is None)
        except GarminUnavailableError:
            if claimed is None:
                raise
            return claimed

    def _renewed(self, job: Run, progress: ImportProgress) -> ImportProgress:
        """Renew the tokens, and store them, encrypted, in the job. Whose they are is open again.

        Raises TokensRejectedError, GarminRateLimitedError, GarminUnavailableError.
        """
        driver = self._driver(progress.tokens)
        try:
            turn = self.cooldowns.enter(driver.name, job.claim.origin.account)
            # Of tokens from anywhere, refusals are no sign that Garmin refuses other people's.
            with reported(self.cooldowns, turn, counts=False):
                tokens = _until_answered(driver, progress.tokens, job)
        except (DriverRestsError, ClientRefusedError) as refusal:
            raise GarminRateLimitedError(refusal.retry_after) from None
        except TokensRejectedError:
            raise _rejection(progress.method) from None
        except DriverFailedError:
            raise GarminUnavailableError from None
        done = {"tokens": tokens, "renewed": True, "identity": None}
        renewed = progress.model_copy(update=done)
        job.persist(lambda: job.keep_progress(JobStage.READING_PROFILE, renewed))
        return renewed

    def _driver(self, tokens: GarminTokens) -> GarminDriver:
        return self.drivers[tokens.driver]


def _tokens(work: Import) -> GarminTokens:
    """Return what is to be stored; a key as tokens whose access token is still to be had."""
    if not isinstance(work.given, ImportedKey):
        return read_tokens(work.given.tokens.get_secret_value(), work.domain)
    over = datetime.now(UTC)
    key = work.given.personal_api_key.get_secret_value()
    return GarminTokens(
        driver=_KEY_DRIVER,
        domain=work.domain or GarminDomain.COM,
        data=SecretStr(json.dumps({"personal_api_key": key})),
        access_expires_at=over,
        refresh_expires_at=over,
    )


def _until_answered(driver: GarminDriver, tokens: GarminTokens, job: Run) -> GarminTokens:
    """Renew tokens, with the same refresh token once more if the answer got lost."""
    try:
        return driver.refresh(tokens, job)
    except GarminUnavailableError as failure:
        unsent = isinstance(failure, GarminUnreachableError) and failure.unsent
        if unsent or failure.retry_after:
            raise
    return driver.refresh(tokens, job)


def _rejection(method: Method) -> TokensRejectedError:
    is_key = method is Method.PERSONAL_API_KEY
    return KeyRejectedError() if is_key else ImportRejectedError()
