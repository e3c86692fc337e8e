"""Sign-ins that wait for a code, sealed in Redis under the hash of their challenge id.

`fittrack:challenge:<sha256>` (hash: pending, attempts_left, client, origin, job, reserved_until,
rejected), with a time to live. Only the client that opened it can answer it. One job at a time may
check a code for it: it reserves the challenge, for a bounded time, so that a reservation whose job
never ran ends by itself.
"""

import math
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

from pydantic import SecretStr

from shared.crypto.keyring import Keyring, Purpose
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
from shared.origin import UNKNOWN, Origin
from shared.redis.connection import LuaScript, Redis, redis_errors_translated
from shared.timings import PRODUCTION, Timings

_TYPICAL_CHECK_SECONDS = 5
_ENDS_SIGN_IN = (
    MfaAttemptsExhaustedError,
    AccountLockedError,
    GarminActionRequiredError,
    SignInExpiredError,
    InterruptedSignInError,
)


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
    """A challenge reserved for one job. `origin` is where the sign-in came from."""

    pending: PendingSignIn
    attempts_left: int
    origin: Origin = UNKNOWN


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
        self._reservation_ms = timings.challenge_reservation * 1000
        self._reserve = LuaScript(redis, __package__, "challenge_reserve")
        self._release = LuaScript(redis, __package__, "challenge_release")
        self._reject = LuaScript(redis, __package__, "challenge_reject")
        self._finish = LuaScript(redis, __package__, "challenge_finish")

    @redis_errors_translated
    def create(self, pending: PendingSignIn, origin: Origin = UNKNOWN) -> NewChallenge:
        challenge_id = new_token()
        name = token_hash(challenge_id)
        fields: dict[Any, Any] = {
            "pending": self._seal(name, pending),
            "attempts_left": self.attempts,
            "client": str(origin.client_id or ""),
            "origin": origin.model_dump_json(),
        }
        expires_at = datetime.now(UTC) + timedelta(seconds=self._ttl)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self._key(name), mapping=fields)
            pipe.expire(self._key(name), self._ttl)
            pipe.execute()
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
        sealed, attempts_left = answer[1], int(answer[2])
        origin = Origin.model_validate_json(answer[3])
        try:
            revealed = self._keyring.open(sealed, Purpose.CHALLENGE, name)
        except SealBrokenError:  # its key was dropped, or it is another challenge's
            self._finish(self._key(name), job_id=job_id)
            raise ChallengeNotFoundError from None
        return OpenChallenge(PendingSignIn.from_revealed(revealed), attempts_left, origin)

    @redis_errors_translated
    def release(self, challenge_id: SecretStr, job_id: str) -> int | None:
        """End the reservation with no verdict on the code.

        Return the attempts left, None if the challenge is gone.
        """
        name = token_hash(challenge_id.get_secret_value())
        left = int(self._release(self._key(name), job_id=job_id))
        return left if left > 0 else None

    @redis_errors_translated
    def reject(
        self, challenge_id: SecretStr, job_id: str, pending: PendingSignIn | None = None
    ) -> int:
        """Count a wrong code, once a job, and keep `pending` as the state to go on with.

        Return the attempts left; 0 when that was the last one, and the challenge is gone.
        """
        name = token_hash(challenge_id.get_secret_value())
        sealed = None if pending is None else self._seal(name, pending)
        left = int(self._reject(self._key(name), job_id=job_id, pending=sealed))
        return max(left, 0)

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

        It is deleted after success and after an error that ends the sign-in at Garmin. A wrong
        code is counted. After any other SignInError it is released, and the error names it. Any
        other exception leaves it reserved for the job's next run. `persist` calls what settles it,
        and may repeat that. Raises what `reserve` raises, and MfaAttemptsExhaustedError after the
        last wrong code.
        """
        challenge = self.reserve(challenge_id, job_id, client_id)
        try:
            yield challenge
        except MfaCodeInvalidError as error:
            pending = challenge.pending
            if error.state is not None:
                pending = pending.model_copy(update={"state": SecretStr(error.state)})
            attempts_left = persist(lambda: self.reject(challenge_id, job_id, pending))
            if attempts_left == 0:
                raise MfaAttemptsExhaustedError from None
            raise error.with_challenge(challenge_id, attempts_left) from None
        except _ENDS_SIGN_IN:
            persist(lambda: self.finish(challenge_id, job_id))
            raise
        except SignInError as error:
            persist(partial(self.give_back, challenge_id, job_id, error))
            raise
        persist(lambda: self.finish(challenge_id, job_id))

    def give_back(self, challenge_id: SecretStr, job_id: str, error: SignInError) -> None:
        """Release the challenge, and add it to the error if it takes another code."""
        attempts_left = self.release(challenge_id, job_id)
        if attempts_left is not None:
            error.with_challenge(challenge_id, attempts_left)

    def _seal(self, name: str, pending: PendingSignIn) -> bytes:
        return self._keyring.seal(pending.reveal(), Purpose.CHALLENGE, name)

    def _key(self, name: str) -> str:
        return self._redis.keyspace.key("challenge", name)
