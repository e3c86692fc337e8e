"""One sign-in, from a claimed job to its end."""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import SecretStr

from shared import errors
from shared.accounts.accounts import Accounts
from shared.crypto.secret import Sealable, Secret
from shared.crypto.tokens import new_token
from shared.garmin.types import (
    CodeSubmission,
    Credentials,
    GarminIdentity,
    GarminTokens,
    PendingSignIn,
    SignedIn,
)
from shared.jobs.challenges import ChallengeStore
from shared.jobs.states import (
    CodeRequested,
    Failure,
    JobErrorCode,
    JobKind,
    JobStage,
    Outcome,
    Success,
)
from shared.jobs.store import Claim, JobStore
from shared.logs.context import job_context
from shared.logs.locations import where
from shared.redis.rate_limits import RateLimit
from shared.timings import PRODUCTION, Timings
from worker.chain import DriverChain
from worker.lease import Lease, LeaseKeeper, checkpoint

_MOST_RUNS = 2
_CHALLENGE_IS_OVER = (
    errors.MfaAttemptsExhaustedError,
    errors.AccountLockedError,
    errors.SignInExpiredError,
    errors.InterruptedSignInError,
)
_FAILED_SIGN_INS = {
    JobErrorCode.INVALID_CREDENTIALS,
    JobErrorCode.MFA_ATTEMPTS_EXHAUSTED,
    JobErrorCode.ACCOUNT_LOCKED,
    JobErrorCode.CAPTCHA_REQUIRED,
}
"""What counts against an account: Garmin's verdicts on the person, and nothing that is our own or
Garmin's trouble."""

_log = logging.getLogger(__name__)


class StoringDelayedError(errors.FitTrackError):
    """The database is away; what Garmin gave is sealed in the job, and a later run stores it."""


class Progress(Sealable):
    """What Garmin has already given, and what we are about to give for it.

    Session id and access token are made before the database is asked, so that a second try stores
    the same session again and no other.
    """

    tokens: GarminTokens
    identity: GarminIdentity | None = None
    session_id: uuid.UUID
    access_token: Secret


@dataclass(frozen=True)
class SignInRunner:
    """Runs jobs. One for a worker process, used by all its threads."""

    jobs: JobStore
    challenges: ChallengeStore
    chain: DriverChain
    accounts: Accounts
    failures: RateLimit
    keeper: LeaseKeeper
    timings: Timings = PRODUCTION

    def run(self, job_id: str) -> str:
        """Runs one job to its end, whatever that is, and tells in a word what it was.

        Raises JobNotFoundError (nothing to do), JobBusyError (another worker has it),
        StoringDelayedError (come back later), ServiceUnavailableError (Redis is away).
        """
        claim = self.jobs.claim(job_id, owner=new_token())
        with (
            job_context(job_id, claim.origin.request_id),
            self.keeper.hold(
                claim, self._deadline(claim), on_timeout=lambda: self._time_out(claim)
            ) as lease,
        ):
            try:
                outcome = self._outcome(claim, lease)
                self._count(claim, outcome)
                ended = self.jobs.end(claim, outcome)
                _log.info("%s ended: %s", claim.kind, ended)
                return ended
            except errors.JobLostError:
                _log.warning("job %s was lost to its deadline or to another worker", job_id)
                return "lost"
            except (StoringDelayedError, errors.ServiceUnavailableError):
                self.jobs.release(claim)
                raise

    def _deadline(self, claim: Claim) -> float:
        if claim.kind is JobKind.LOGIN:
            return self.timings.login_deadline
        return self.timings.code_deadline

    def _count(self, claim: Claim, outcome: Outcome) -> None:
        """Failed sign-ins stand against the account until one goes through."""
        account = claim.origin.account
        if account is None:
            return
        if isinstance(outcome, Failure) and self._is_failed_sign_in(outcome):
            self.failures.count(account)
        elif isinstance(outcome, Success):
            self.failures.clear(account)

    def _is_failed_sign_in(self, failure: Failure) -> bool:
        """A challenge's first wrong code is one: who leaves the last one untried is counted too."""
        if failure.code is JobErrorCode.MFA_CODE_INVALID:
            return failure.attempts_left == self.challenges.attempts - 1
        return failure.code in _FAILED_SIGN_INS

    def _outcome(self, claim: Claim, lease: Lease) -> Outcome:
        try:
            return self._work(claim, lease)
        except errors.SignInError as error:
            return Failure.of(error)
        except errors.SealBrokenError:
            _log.error("job %s: a sealed value does not open", claim.job_id)  # noqa: TRY400, RUF100
            return Failure.of(errors.InternalJobError())
        except (StoringDelayedError, errors.ServiceUnavailableError, errors.JobLostError):
            raise
        except Exception as error:
            _log.error("job %s: bug: %s", claim.job_id, where(error))  # noqa: TRY400, RUF100
            return Failure.of(errors.InternalJobError())

    def _work(self, claim: Claim, lease: Lease) -> Outcome:
        reached: Progress | Outcome | None = self.jobs.open_progress(claim, Progress)
        if reached is None:
            if claim.runs > _MOST_RUNS:
                raise errors.InterruptedSignInError
            begin = self._login if claim.kind is JobKind.LOGIN else self._complete_mfa
            reached = begin(claim, lease)
        if isinstance(reached, Progress):
            return self._store(claim, lease, self._identified(claim, lease, reached))
        return reached

    def _login(self, claim: Claim, lease: Lease) -> Progress | CodeRequested:
        credentials = self.jobs.open_input(claim, Credentials)
        if credentials is None:
            raise errors.InterruptedSignInError
        self.jobs.advance(claim, JobStage.CONTACTING_GARMIN)
        result = self.chain.sign_in(credentials, lease)
        if isinstance(result, SignedIn):
            return self._keep(claim, result)
        # What Garmin gave is not given twice: with Redis away, the job waits until its deadline.
        challenge = _repeated(
            lambda: self.challenges.create(result.pending, claim.origin),
            errors.ServiceUnavailableError,
            self.timings.longest_pause,
        )
        return CodeRequested(
            challenge_id=challenge.challenge_id,
            mfa_type=result.pending.mfa_type,
            mfa_destination=result.pending.mfa_destination,
            expires_at=challenge.expires_at,
            attempts_left=challenge.attempts_left,
        )

    def _complete_mfa(self, claim: Claim, lease: Lease) -> Progress | Failure:
        submission = self.jobs.open_input(claim, CodeSubmission)
        if submission is None:
            raise errors.InterruptedSignInError
        pending = self._reserved(claim, submission.challenge_id)
        self.jobs.advance(claim, JobStage.CHECKING_CODE)
        try:
            result = self.chain.finish(pending, submission.code.get_secret_value(), lease)
        except errors.MfaCodeInvalidError as error:
            return self._refused_code(claim, submission.challenge_id, pending, error.state)
        except _CHALLENGE_IS_OVER:
            self.challenges.finish(submission.challenge_id, claim.job_id)
            raise
        except errors.SignInError as error:
            return self._still_open(claim, submission.challenge_id, Failure.of(error))
        progress = self._keep(claim, result)
        self.challenges.finish(submission.challenge_id, claim.job_id)
        return progress

    def _reserved(self, claim: Claim, challenge_id: SecretStr) -> PendingSignIn:
        try:
            client_id = claim.origin.client_id
            return self.challenges.reserve(challenge_id, claim.job_id, client_id).pending
        except errors.ChallengeNotFoundError:
            raise errors.SignInExpiredError from None
        except errors.ChallengeBusyError:
            raise errors.InterruptedSignInError from None

    def _refused_code(
        self, claim: Claim, challenge_id: SecretStr, pending: PendingSignIn, state: str | None
    ) -> Failure:
        if claim.runs > 1:
            # A worker died while it checked this very code: it may have been right, and used.
            self.challenges.finish(challenge_id, claim.job_id)
            raise errors.InterruptedSignInError
        if state is not None:
            pending = pending.model_copy(update={"state": SecretStr(state)})
        left = self.challenges.reject(challenge_id, claim.job_id, pending)
        if left == 0:
            raise errors.MfaAttemptsExhaustedError
        return Failure.of(errors.MfaCodeInvalidError(), challenge_id, left)

    def _still_open(self, claim: Claim, challenge_id: SecretStr, failure: Failure) -> Failure:
        """Garmin gave no verdict on the code: the same challenge takes the next one."""
        left = self.challenges.release(challenge_id, claim.job_id)
        if left is None:
            return failure
        return failure.model_copy(update={"challenge_id": challenge_id, "attempts_left": left})

    def _keep(self, claim: Claim, result: SignedIn) -> Progress:
        """Seals what Garmin gave into the job before anything else can go wrong."""
        progress = Progress(
            tokens=result.tokens, session_id=uuid.uuid4(), access_token=SecretStr(new_token())
        )
        _repeated(
            lambda: self.jobs.keep_progress(claim, JobStage.READING_PROFILE, progress),
            errors.ServiceUnavailableError,
            self.timings.longest_pause,
        )
        return progress

    def _identified(self, claim: Claim, lease: Lease, progress: Progress) -> Progress:
        """With Garmin's profile, asked for again until the deadline."""
        if progress.identity is not None:
            return progress
        identity = _repeated(
            lambda: self.chain.identify(progress.tokens, lease),
            errors.GarminUnavailableError,
            self.timings.longest_pause,
        )
        progress = progress.model_copy(update={"identity": identity})
        self.jobs.keep_progress(claim, JobStage.STORING, progress)
        return progress

    def _store(self, claim: Claim, lease: Lease, progress: Progress) -> Success:
        assert progress.identity is not None  # noqa: S101 - for the type checker
        identity = progress.identity
        # Whoever comes again and again must not hold a thread each time: once is enough.
        patience = self.timings.store_patience if claim.progress is None else 0.0
        lease.drop_deadline()
        try:
            stored = _repeated(
                lambda: self.accounts.store(
                    identity,
                    progress.tokens,
                    progress.session_id,
                    progress.access_token,
                    claim.origin,
                ),
                errors.ServiceUnavailableError,
                self.timings.longest_pause,
                patience,
            )
        except errors.ServiceUnavailableError:
            raise StoringDelayedError from None
        return Success(
            session_id=str(progress.session_id),
            access_token=progress.access_token,
            session_expires_at=stored.session_expires_at,
            user_id=str(stored.user_id),
            display_name=stored.display_name,
        )

    def _time_out(self, claim: Claim) -> None:
        """The deadline passed: called beside the thread that still waits for Garmin."""
        failure = Failure.of(errors.TimedOutError())
        if claim.kind is JobKind.MFA_COMPLETION:
            submission = self.jobs.open_input(claim, CodeSubmission)
            if submission is not None:
                failure = self._still_open(claim, submission.challenge_id, failure)
        self.jobs.end(claim, failure)


def _repeated[T](
    action: Callable[[], T],
    passing: type[errors.FitTrackError],
    longest_pause: float,
    patience: float | None = None,
) -> T:
    """Repeats an action while it raises `passing`, for `patience` seconds or the job's deadline."""
    ends_at = None if patience is None else time.monotonic() + patience
    pause = 0.25
    while True:
        try:
            return action()
        except passing:
            left = checkpoint() if ends_at is None else ends_at - time.monotonic()
            if left is None or left <= pause:
                raise
        time.sleep(pause)
        pause = min(pause * 2, longest_pause)
