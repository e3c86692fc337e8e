"""The refresh of stored tokens.

Some refresh tokens work once. What a refresh brings must not be lost, and none may be begun while
an answer waits to be stored: hence the order in which things are written down here.
"""

import logging
import math
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from shared.accounts.refreshes import Holder, RefreshHeldError, RefreshLog
from shared.accounts.states import Method
from shared.accounts.tokens import StoredTokens
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.errors import (
    ClientRefusedError,
    DriverFailedError,
    GarminRateLimitedError,
    GarminUnavailableError,
    GarminUnreachableError,
    JobLostError,
    SealBrokenError,
    ServiceUnavailableError,
    SignInError,
    TimedOutError,
    TokensRejectedError,
)
from shared.garmin.types import GarminTokens
from shared.jobs.states import Failure, JobStage, Outcome, Refreshed, RefreshRequest
from shared.redis.driver_cooldowns import DriverCooldowns, DriverRestsError, Turn
from shared.redis.key_refusals import KeyRefusals
from shared.redis.measurements import REFRESHES, Measurements
from worker.drivers.driver import GarminDriver
from worker.run import PostponedError, Run

_log = logging.getLogger(__name__)

_REJECTIONS = 2
"""How often Garmin has to call a refresh token dead before it is believed."""

_WITHOUT_ANSWER = 2
"""How often the same refresh token is tried when no answer comes."""

_UNREADABLE_PAUSE = 600
"""Seconds before the next refresh of tokens that do not open: a sealing key is missing."""

_SHORTEST_PAUSE = 30
"""Seconds before the next refresh of tokens for which Garmin gave no usable answer."""


class _RefusedOnceError(Exception):
    """Garmin refuses a key, and has to say so again in `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("key refused once")
        self.retry_after = retry_after


class RefreshProgress(RefreshRequest):
    """What Garmin has issued. It outlives the request, of which it repeats all that is needed."""

    user_id: str
    tokens: GarminTokens


@dataclass(frozen=True)
class RefreshHandler:
    """`drivers` are all that are known: tokens may be of one that no longer signs in."""

    drivers: Mapping[str, GarminDriver]
    cooldowns: DriverCooldowns
    key_refusals: KeyRefusals
    database: Database
    keyring: Keyring
    measurements: Measurements = field(default_factory=Measurements)

    def run(self, job: Run) -> Outcome:
        progress = job.progress(RefreshProgress)
        if progress is None:
            stored = self._begin(job, job.input(RefreshRequest))
            if stored is None:
                return Refreshed()
            tokens = self._ask_counted(job, stored)
            if tokens is None:
                return Refreshed(user_id=str(stored.user_id))
            progress = RefreshProgress(
                token_id=stored.id,
                generation=stored.generation,
                user_id=str(stored.user_id),
                tokens=tokens,
            )
            self._keep(job, progress)
        return self._store(job, progress)

    def time_out(self, job: Run) -> Failure:  # noqa: ARG002, RUF100 - the interface
        return Failure.of(TimedOutError())

    def _begin(self, job: Run, work: RefreshRequest) -> StoredTokens | None:
        """Read the tokens, and write down that their refresh begins.

        Waits while another job holds them, which Redis has forgotten. Raises TimedOutError.
        """
        holder = Holder(job.claim.job_id, job.claim.runs, job.claim.owner)
        seconds = job.timings.refresh_hold

        def begin() -> StoredTokens | None:
            try:
                stored = self._in_statement(
                    lambda log: log.begin(work.token_id, work.generation, holder, seconds)
                )
            except SealBrokenError:  # written down, for all that
                self._postpone(work.token_id, work.generation, _UNREADABLE_PAUSE, ended=True)
                raise
            if stored is None:
                self._in_database(lambda log: log.refused(work.token_id, work.generation))
            return stored

        def begin_patiently() -> StoredTokens | None:
            return job.retry(begin, ServiceUnavailableError, job.timings.store_patience)

        try:
            return job.retry(begin_patiently, RefreshHeldError)
        except RefreshHeldError:
            raise TimedOutError from None

    def _ask_counted(self, job: Run, stored: StoredTokens) -> GarminTokens | None:
        try:
            tokens = self._ask(job, stored)
        except SignInError as error:
            self.measurements.count(REFRESHES, stored.driver, str(error.code))
            raise
        self.measurements.count(REFRESHES, stored.driver, "ok" if tokens else "not_needed")
        return tokens

    def _ask(self, job: Run, stored: StoredTokens) -> GarminTokens | None:
        """Have Garmin refresh tokens; None if there are newer ones.

        Raises TokensRejectedError once Garmin has said so twice (of a key: long enough apart),
        GarminRateLimitedError and GarminUnavailableError.
        """
        driver = self.drivers[stored.driver]
        try:
            turn = self.cooldowns.enter(driver.name, str(stored.id))
        except DriverRestsError as rest:
            self._postpone(stored.id, stored.generation, rest.retry_after, ended=True)
            raise GarminRateLimitedError(rest.retry_after) from None
        try:
            tokens = self._until_answered(job, driver, stored)
        except GarminRateLimitedError as refusal:
            raise GarminRateLimitedError(self._rest(turn, stored, refusal, ended=True)) from None
        except (GarminUnavailableError, DriverFailedError) as failure:
            pause = ClientRefusedError(max(_SHORTEST_PAUSE, failure.retry_after or 0))
            raise GarminUnavailableError(self._rest(turn, stored, pause, ended=False)) from None
        except _RefusedOnceError as refusal:
            # Nothing is wrong with the driver: revoked keys must not stop everybody's.
            pause = ClientRefusedError(refusal.retry_after)
            wait = self._rest(turn, stored, pause, ended=True, counts=False)
            raise GarminUnavailableError(wait) from None
        except TokensRejectedError:
            self._report(self.cooldowns.accepted, turn)
            raise
        except Exception:
            self._report(self.cooldowns.leave, turn)
            raise
        self._report(self.cooldowns.accepted, turn)
        return tokens

    def _until_answered(
        self, job: Run, driver: GarminDriver, stored: StoredTokens
    ) -> GarminTokens | None:
        """Ask again at once where the answer got lost, or where it says that all is lost."""
        rejections = lost = 0
        while True:
            try:
                return driver.refresh(stored.tokens, job)
            except TokensRejectedError:
                rejections += 1
                if not self._is_unchanged(stored):
                    return None
                if stored.method is Method.PERSONAL_API_KEY:
                    self._check_again_later(job, stored)
                elif rejections < _REJECTIONS:
                    continue
                self._reject(stored)
                return None
            except GarminUnavailableError as failure:
                lost += 1
                unsent = isinstance(failure, GarminUnreachableError) and failure.unsent
                if lost >= _WITHOUT_ANSWER or unsent or failure.retry_after:
                    raise
                _log.info("no usable answer to a refresh: the same token once more")

    def _check_again_later(self, job: Run, stored: StoredTokens) -> None:
        """Raise _RefusedOnceError unless Garmin has refused the key long enough ago as well."""
        wait = math.ceil(job.timings.key_recheck)
        with suppress(ServiceUnavailableError):
            wait = self.key_refusals.note(stored.id, stored.generation)
        if wait:
            _log.info("a Personal API key was refused: it is tried again in %d s", wait)
            raise _RefusedOnceError(wait)

    def _reject(self, stored: StoredTokens) -> None:
        """Note that only a sign-in helps. Raises TokensRejectedError unless one has helped."""
        if self._in_database(lambda log: log.reject(stored.id, stored.generation)):
            raise TokensRejectedError

    def _keep(self, job: Run, progress: RefreshProgress) -> None:
        """Seal the answer into the job; where that can't be, store it at once.

        Raises ServiceUnavailableError while both are away, at the deadline.
        """

        def keep() -> None:
            try:
                job.keep_progress(JobStage.STORING, progress)
            except (JobLostError, ServiceUnavailableError) as error:
                try:
                    self._finish(progress)
                except ServiceUnavailableError:
                    raise error from None

        job.retry(keep, ServiceUnavailableError)

    def _store(self, job: Run, progress: RefreshProgress) -> Refreshed:
        # As for sign-ins: only the first run waits for the database.
        patience = job.timings.store_patience if job.claim.progress is None else 0.0
        job.drop_deadline()
        try:
            job.retry(lambda: self._finish(progress), ServiceUnavailableError, patience)
        except ServiceUnavailableError:
            raise PostponedError from None
        return Refreshed(user_id=progress.user_id, driver=progress.tokens.driver)

    def _finish(self, progress: RefreshProgress) -> bool:
        token_id, generation, tokens = progress.token_id, progress.generation, progress.tokens
        if self._in_statement(lambda log: log.finish_active(token_id, generation, tokens)):
            return True
        return self._in_database(lambda log: log.finish(token_id, generation, tokens))

    def _rest(
        self,
        turn: Turn,
        stored: StoredTokens,
        refusal: GarminRateLimitedError,
        *,
        ended: bool,
        counts: bool = True,
    ) -> int:
        """Let these tokens wait, and perhaps everybody's; return their seconds.

        `ended`: Garmin has answered. `counts`: it may be that it refuses everybody.
        """
        if not isinstance(refusal, ClientRefusedError):
            refusal = ClientRefusedError(refusal.retry_after)
        wait = refusal.retry_after or _SHORTEST_PAUSE
        with suppress(ServiceUnavailableError):
            wait = self.cooldowns.refused(turn, refusal, counts=ended and counts)
        self._postpone(stored.id, stored.generation, wait, ended=ended)
        return wait

    @staticmethod
    def _report(report: Callable[[Turn], None], turn: Turn) -> None:
        with suppress(ServiceUnavailableError):
            report(turn)

    def _postpone(self, token_id: uuid.UUID, generation: int, seconds: int, *, ended: bool) -> None:
        with suppress(ServiceUnavailableError):
            self._in_database(lambda log: log.postpone(token_id, generation, seconds, ended=ended))

    def _is_unchanged(self, stored: StoredTokens) -> bool:
        return self._in_database(lambda log: log.is_unchanged(stored.id, stored.generation))

    def _in_database[T](self, work: Callable[[RefreshLog], T]) -> T:
        return self.database.run(lambda session: work(RefreshLog(session, self.keyring)))

    def _in_statement[T](self, work: Callable[[RefreshLog], T]) -> T:
        return self.database.run_statement(lambda session: work(RefreshLog(session, self.keyring)))
