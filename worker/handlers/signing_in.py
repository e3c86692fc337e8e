"""What a sign-in and the completion of one share: whose account it is, and where it is stored."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import SecretStr

from shared.accounts.accounts import Accounts
from shared.crypto.secret import Sealable, Secret
from shared.crypto.tokens import new_token
from shared.errors import GarminUnavailableError, ServiceUnavailableError, SignInError
from shared.garmin.types import GarminIdentity, GarminTokens, SignedIn
from shared.jobs.account_limit import AccountLimit
from shared.jobs.states import CodeRequested, Failure, JobStage, Outcome, Success
from worker.chain import DriverChain
from worker.run import PostponedError, Run


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
class SigningIn:
    chain: DriverChain
    accounts: Accounts
    limit: AccountLimit

    def run(self, job: Run, begin: Callable[[Run], Progress | CodeRequested]) -> Outcome:
        """Begin the sign-in, or go on where an earlier run stopped; count how it ended."""
        try:
            outcome = self._outcome(job, begin)
        except SignInError as error:
            outcome = Failure.of(error)
        account = job.claim.origin.account
        if account is not None:
            self.limit.record(account, outcome)
        return outcome

    def keep(self, job: Run, signed_in: SignedIn) -> Progress:
        """Store the tokens, encrypted, in the job before anything else can go wrong."""
        progress = Progress(
            tokens=signed_in.tokens, session_id=uuid.uuid4(), access_token=SecretStr(new_token())
        )
        job.retry(
            lambda: job.keep_progress(JobStage.READING_PROFILE, progress), ServiceUnavailableError
        )
        return progress

    def _outcome(self, job: Run, begin: Callable[[Run], Progress | CodeRequested]) -> Outcome:
        reached = job.progress(Progress) or begin(job)
        if isinstance(reached, CodeRequested):
            return reached
        identity = reached.identity or self._identify(job, reached)
        return self._store(job, reached, identity)

    def _identify(self, job: Run, progress: Progress) -> GarminIdentity:
        """Read Garmin's profile, asking again until the deadline."""
        identity = job.retry(
            lambda: self.chain.identify(progress.tokens, job), GarminUnavailableError
        )
        job.keep_progress(JobStage.STORING, progress.model_copy(update={"identity": identity}))
        return identity

    def _store(self, job: Run, progress: Progress, identity: GarminIdentity) -> Success:
        # Jobs that come back again and again must not hold a thread each time.
        first_run = job.claim.progress is None
        patience = job.timings.store_patience if first_run else 0.0
        job.drop_deadline()
        session_id, access_token = progress.session_id, progress.access_token
        try:
            stored = job.retry(
                lambda: self.accounts.store(
                    identity, progress.tokens, session_id, access_token, job.claim.origin
                ),
                ServiceUnavailableError,
                patience,
            )
        except ServiceUnavailableError:
            raise PostponedError from None
        return Success(
            session_id=str(session_id),
            access_token=access_token,
            session_expires_at=stored.session_expires_at,
            user_id=str(stored.user_id),
            display_name=stored.display_name,
        )
