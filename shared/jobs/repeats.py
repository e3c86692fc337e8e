"""Submissions that their client may send again: the same key and body get the same job."""

from dataclasses import dataclass

from pydantic import SecretStr

from shared.crypto.keyring import Keyring, Purpose
from shared.errors import IdempotencyKeyReusedError, SealBrokenError


@dataclass(frozen=True)
class NewJob:
    """A job as its submitter sees it. `expires_in` is in seconds.

    `unsent`: its message is not known to have been sent.
    """

    job_id: str
    poll_token: SecretStr
    expires_in: int
    unsent: bool = True


@dataclass(frozen=True)
class Repeatable:
    """Keyed hashes of an idempotency key (`name`) and of the body that came with it."""

    name: str
    body: str


def repeated_job(keyring: Keyring, answer: list[bytes]) -> NewJob | None:
    """Read `job_create.lua`'s answer: the job that was repeated, or None.

    Raises IdempotencyKeyReusedError.
    """
    if answer[0] == b"other":
        raise IdempotencyKeyReusedError
    if answer[0] != b"same":
        return None
    _, job_id, sealed, ms_left, unsent = answer
    try:
        poll_token = keyring.open(sealed, Purpose.POLL_TOKEN, job_id.decode())
    except SealBrokenError:  # its key was dropped, or it is another job's
        raise IdempotencyKeyReusedError from None
    seconds = max(1, int(ms_left) // 1000)
    return NewJob(job_id.decode(), SecretStr(poll_token.decode()), seconds, bool(int(unsent)))
