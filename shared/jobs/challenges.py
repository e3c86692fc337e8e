"""Sign-ins that wait for a code, sealed in Redis under the hash of their challenge id.

- `fittrack:challenge:<sha256>` (hash: pending, client, job, reserved_until)
- `fittrack:account:<keyed hash>:challenge:<client>` (the account's open challenge in this app)

Both have a time to live. Only the client that opened a challenge can answer it. One job at a time
may check a code for it: it reserves the challenge, for a bounded time, so that a reservation whose
job never ran ends by itself.

An account has one open challenge in each app; sign-ins without an app are one app. The older one
ends when Garmin has sent the newer code, and not before: who does not know the password can't end
it. A code that is being checked for it at that moment still counts as Garmin judges it.
"""

import math
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol, cast

from pydantic import SecretStr, ValidationError

from shared.crypto.keyring import Keyring, Purpose
from shared.crypto.secret import Sealable
from shared.crypto.tokens import new_token, token_hash
from shared.errors import (
    AccountLockedError,
    ChallengeBusyError,
    ChallengeNotFoundError,
    FitTrackError,
    GarminActionRequiredError,
    InterruptedSignInError,
    MfaAttemptsExhaustedError,
    MfaCodeInvalidError,
    SealBrokenError,
    ServiceUnavailableError,
    SignInError,
    SignInExpiredError,
    SubmissionUncertainError,
)
from shared.garmin.types import PendingSignIn
from shared.jobs.keys import JobKeys, ms
from shared.jobs.states import JobCancelledError
from shared.origin import UNKNOWN, Origin
from shared.redis.clock import redis_ms
from shared.redis.connection import LuaScript, Redis, redis_errors_translated
from shared.timings import PRODUCTION, Timings

_TYPICAL_CHECK_SECONDS = 5
_TRIES = 2
"""Another run of the same job may have counted the same code in between."""

_ENDS_SIGN_IN = (
    MfaAttemptsExhaustedError,
    AccountLockedError,
    GarminActionRequiredError,
    SignInExpiredError,
    InterruptedSignInError,
    JobCancelledError,
)


class ResendNotPossibleError(FitTrackError):
    """The code can't be sent again, or not yet. `retry_after` is in seconds."""

    code = "resend_not_possible"
    message = "Garmin can't send this code again, or not yet: see Retry-After."

    def __init__(self, retry_after: int | None = None) -> None:
        super().__init__("resend not possible")
        self.retry_after = retry_after


class Persist(Protocol):
    """Calls what writes down an answer of Garmin's."""

    def __call__[T](self, action: Callable[[], T]) -> T: ...


def _once[T](action: Callable[[], T]) -> T:
    return action()


@dataclass(frozen=True)
class NewChallenge:
    challenge_id: SecretStr
    expires_at: datetime
    attempts_left: int


@dataclass(frozen=True)
class OpenChallenge:
    """A challenge reserved for one job. `origin` is where the sign-in came from.

    `resend_after` is in how many seconds the code may be sent again; None if Garmin can't.
    """

    pending: PendingSignIn
    attempts_left: int
    origin: Origin = UNKNOWN
    resend_after: int | None = None


class _Record(Sealable):
    """What a challenge is. Sealed as one: nothing of it can be changed or moved in Redis.

    `rejected_by` is the job whose wrong code was counted last. `sent_at` is when Garmin sent the
    last code, in ms by Redis' clock.
    """

    pending: PendingSignIn
    attempts_left: int
    origin: Origin
    rejected_by: str | None = None
    sent_at: int = 0


class ChallengeStore:
    """Every method raises ServiceUnavailableError when Redis does not answer.

    `attempts` is how many codes may be tried for a challenge, `ttl` is in seconds.
    """

    def __init__(
        self,
        redis: Redis,
        keyring: Keyring,
        ttl: int,
        attempts: int,
        timings: Timings = PRODUCTION,
    ) -> None:
        self._redis = redis
        self._keyring = keyring
        self._ttl = ttl
        self.attempts = attempts
        self.resend_pause_ms = timings.resend_pause * 1000
        self._reservation_ms = timings.challenge_reservation * 1000
        self._create = LuaScript(redis, __package__, "challenge_create")
        self._reserve = LuaScript(redis, __package__, "challenge_reserve")
        self._release = LuaScript(redis, __package__, "challenge_release")
        self._replace = LuaScript(redis, __package__, "challenge_replace")
        self._finish = LuaScript(redis, __package__, "challenge_finish")

    @redis_errors_translated
    def create(self, pending: PendingSignIn, origin: Origin = UNKNOWN) -> NewChallenge:
        """Keep a pending sign-in; end the older one of the same account and app."""
        challenge_id = new_token()
        name, client = token_hash(challenge_id), str(origin.client_id or "")
        record = _Record(
            pending=pending,
            attempts_left=self.attempts,
            origin=origin,
            sent_at=redis_ms(self._redis),
        )
        expires_at = datetime.now(UTC) + timedelta(seconds=self._ttl)
        keys = [self._key(name)]
        if origin.account is not None:
            keys.append(self._redis.keyspace.key("account", origin.account, "challenge", client))
        self._create(
            *keys,
            name=name,
            challenges=self._key(""),
            fields={"pending": self._seal(name, record), "client": client},
            ttl=ms(self._ttl),
        )
        return NewChallenge(SecretStr(challenge_id), expires_at, self.attempts)

    @redis_errors_translated
    def reserve(
        self, challenge_id: SecretStr, job_id: str, client_id: uuid.UUID | None = None
    ) -> OpenChallenge:
        """Reserve the challenge for a job; again, for the job that has it already.

        Raises ChallengeNotFoundError, also if it is another client's or what is kept does not
        open, and ChallengeBusyError.
        """
        name = token_hash(challenge_id.get_secret_value())
        answer = self._reserve(
            self._key(name),
            job_id=job_id,
            client=str(client_id or ""),
            reserve_for=self._reservation_ms,
        )
        if answer[0] == b"missing":
            raise ChallengeNotFoundError
        if answer[0] == b"busy":
            left = math.ceil(int(answer[1]) / 1000)
            raise ChallengeBusyError(retry_after=min(left, _TYPICAL_CHECK_SECONDS))
        record = self._open(name, answer[1])
        if record is None or record.origin.client_id != client_id:
            self._finish(self._key(name), job_id=job_id)
            raise ChallengeNotFoundError
        return OpenChallenge(
            record.pending, record.attempts_left, record.origin, self._resend_after(record)
        )

    @redis_errors_translated
    def release(self, challenge_id: SecretStr, job_id: str) -> int | None:
        """End the reservation with no verdict on the code.

        Return the attempts left, None if the challenge is gone.
        """
        name = token_hash(challenge_id.get_secret_value())
        record = self._open(name, self._release(self._key(name), job_id=job_id))
        return None if record is None else record.attempts_left

    @redis_errors_translated
    def reject(
        self, challenge_id: SecretStr, job_id: str, pending: PendingSignIn | None = None
    ) -> int:
        """Count a wrong code, once a job, and keep `pending` as the state to go on with.

        Return the attempts left; 0 when that was the last one, or the challenge is gone.
        """
        name = token_hash(challenge_id.get_secret_value())
        for _ in range(_TRIES):
            sealed = self._held(name, job_id)
            record = self._open(name, sealed)
            if record is None:
                self._finish(self._key(name), job_id=job_id)
                break
            if record.rejected_by == job_id:
                return record.attempts_left
            left = record.attempts_left - 1
            changes = {
                "attempts_left": left,
                "rejected_by": job_id,
                "pending": pending or record.pending,
            }
            rejected = self._seal(name, record.model_copy(update=changes)) if left > 0 else None
            if self._replace(self._key(name), job_id=job_id, expected=sealed, pending=rejected):
                return left
        return 0

    @redis_errors_translated
    def resent(
        self, challenge_id: SecretStr, job_id: str, pending: PendingSignIn
    ) -> NewChallenge | None:
        """Note that Garmin has sent the code again, and end the reservation.

        Return the challenge, which expires when it did before; None if it is gone.
        """
        name = token_hash(challenge_id.get_secret_value())
        sealed = self._held(name, job_id)
        record = self._open(name, sealed)
        if record is None:
            return None
        changes = {"pending": pending, "sent_at": redis_ms(self._redis)}
        again = self._seal(name, record.model_copy(update=changes))
        if not self._replace(self._key(name), job_id=job_id, expected=sealed, pending=again):
            return None
        left = timedelta(milliseconds=max(0, self._redis.pttl(self._key(name))))
        return NewChallenge(challenge_id, datetime.now(UTC) + left, record.attempts_left)

    @redis_errors_translated
    def finish(self, challenge_id: SecretStr, job_id: str) -> None:
        """Delete the challenge, if it is still the job's."""
        name = token_hash(challenge_id.get_secret_value())
        self._finish(self._key(name), job_id=job_id)

    @contextmanager
    def reserved_for_submission(
        self, challenge_id: SecretStr, job_id: str, client_id: uuid.UUID | None
    ) -> Iterator[OpenChallenge]:
        """Reserve the challenge for a job that is submitted; release it if the job can't run.

        Raises what `reserve` raises.
        """
        challenge = self.reserve(challenge_id, job_id, client_id)
        try:
            yield challenge
        except SubmissionUncertainError:
            raise
        except FitTrackError:
            with suppress(ServiceUnavailableError):
                self.release(challenge_id, job_id)
            raise

    @contextmanager
    def reserved_for_check(
        self,
        challenge_id: SecretStr,
        job_id: str,
        client_id: uuid.UUID | None,
        persist: Persist = _once,
    ) -> Iterator[OpenChallenge]:
        """Reserve the challenge while a job checks a code; settle it by how the block ends.

        It is deleted after success. A wrong code is counted. Other errors are settled as
        `reserved_for_resend` does. Raises what `reserve` raises, and MfaAttemptsExhaustedError
        after the last wrong code.
        """
        with self.reserved_for_resend(challenge_id, job_id, client_id, persist) as challenge:
            try:
                yield challenge
            except MfaCodeInvalidError as error:
                pending = challenge.pending
                if error.state is not None:
                    pending = pending.model_copy(update={"state": SecretStr(error.state)})
                attempts_left = persist(lambda: self.reject(challenge_id, job_id, pending))
                if attempts_left == 0 and challenge.attempts_left == 1:
                    raise MfaAttemptsExhaustedError from None
                if attempts_left == 0:  # a newer sign-in has ended it meanwhile
                    raise
                raise error.with_challenge(challenge_id, attempts_left) from None
        persist(lambda: self.finish(challenge_id, job_id))

    @contextmanager
    def reserved_for_resend(
        self,
        challenge_id: SecretStr,
        job_id: str,
        client_id: uuid.UUID | None,
        persist: Persist = _once,
    ) -> Iterator[OpenChallenge]:
        """Reserve the challenge while a job has the code sent again; settle it after an error.

        It is deleted after an error that ends the sign-in at Garmin. After any other SignInError
        it is released, and the error names it. Any other exception leaves it reserved for the
        job's next run. `persist` calls what settles it, and may repeat that. Raises what
        `reserve` raises.
        """
        challenge = self.reserve(challenge_id, job_id, client_id)
        try:
            yield challenge
        except MfaCodeInvalidError:
            raise  # it is settled
        except _ENDS_SIGN_IN:
            persist(lambda: self.finish(challenge_id, job_id))
            raise
        except SignInError as error:
            persist(partial(self.give_back, challenge_id, job_id, error))
            raise

    def give_back(self, challenge_id: SecretStr, job_id: str, error: SignInError) -> None:
        """Release the challenge, and add it to the error if it takes another code."""
        attempts_left = self.release(challenge_id, job_id)
        if attempts_left is not None:
            error.with_challenge(challenge_id, attempts_left)

    def _resend_after(self, record: _Record) -> int | None:
        if not record.pending.can_resend:
            return None
        left = record.sent_at + self.resend_pause_ms - redis_ms(self._redis)
        return max(0, math.ceil(left / 1000))

    def _held(self, name: str, job_id: str) -> bytes | None:
        """Return what is sealed in a challenge, if it is the job's."""
        job, sealed = cast(
            "list[bytes | None]", self._redis.hmget(self._key(name), "job", "pending")
        )
        return sealed if job == job_id.encode() else None

    def _seal(self, name: str, record: _Record) -> bytes:
        return self._keyring.seal(record.reveal(), Purpose.CHALLENGE, name)

    def _open(self, name: str, sealed: bytes | None) -> _Record | None:
        """Return the record, or None if it is gone or does not open."""
        if sealed is None:
            return None
        try:
            return _Record.from_revealed(self._keyring.open(sealed, Purpose.CHALLENGE, name))
        except (SealBrokenError, ValidationError):
            # Its key was dropped, it is another challenge's, or of a version that kept less in it.
            return None

    def _key(self, name: str) -> str:
        return JobKeys(self._redis.keyspace).challenge(name)
