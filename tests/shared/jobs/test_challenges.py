"""Challenges over real Redis and over fakeredis: one contract."""

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from dev.stack import new_key
from shared.crypto.keyring import Keyring, Purpose
from shared.crypto.tokens import token_hash
from shared.errors import (
    ChallengeBusyError,
    ChallengeNotFoundError,
    ServiceUnavailableError,
)
from shared.jobs.challenges import ChallengeStore, OpenChallenge
from shared.origin import Origin
from shared.redis.connection import Redis, connect
from shared.timings import PRODUCTION
from tests.shared.samples import (
    ATTEMPTS,
    CHALLENGE_TTL,
    PENDING,
    SECRETS,
    at_once,
    everything_in,
    keys_that_never_expire,
    nothing_listens,
)

OTHER_STATE = PENDING.model_copy(update={"state": SecretStr("plain-text-garmin-cookie, the next")})


@pytest.fixture
def challenge_id(challenges: ChallengeStore) -> SecretStr:
    return challenges.create(PENDING).challenge_id


def key_of(challenge_id: SecretStr) -> str:
    return f"fittrack:challenge:{token_hash(challenge_id.get_secret_value())}"


def wait(redis: Redis, challenge_id: SecretStr, seconds: int) -> None:
    """Let so many seconds pass: the reservation ends that much earlier."""
    redis.hincrby(key_of(challenge_id), "reserved_until", -seconds * 1000)


def test_a_new_challenge_has_an_expiry_and_attempts(challenges: ChallengeStore) -> None:
    challenge = challenges.create(PENDING)
    left = challenge.expires_at - datetime.now(UTC)
    assert timedelta(seconds=CHALLENGE_TTL - 60) < left <= timedelta(seconds=CHALLENGE_TTL)
    assert challenge.attempts_left == ATTEMPTS
    assert len(challenge.challenge_id.get_secret_value()) == 43


def test_a_reserved_challenge_returns_the_pending_sign_in(
    challenges: ChallengeStore, challenge_id: SecretStr
) -> None:
    assert challenges.reserve(challenge_id, "a") == OpenChallenge(PENDING, ATTEMPTS)


def test_unknown_expired_and_used_challenges_get_one_answer(
    challenges: ChallengeStore, redis: Redis
) -> None:
    expired, finished, used_up = (challenges.create(PENDING).challenge_id for _ in range(3))
    redis.delete(key_of(expired))
    challenges.reserve(finished, "a")
    challenges.finish(finished, "a")
    for job in ("a", "b", "c"):
        challenges.reserve(used_up, job)
        challenges.reject(used_up, job)
    answers = set()
    for challenge_id in (SecretStr("unknown"), SecretStr(""), expired, finished, used_up):
        with pytest.raises(ChallengeNotFoundError) as caught:
            challenges.reserve(challenge_id, "d")
        answers.add((type(caught.value), str(caught.value)))
    assert len(answers) == 1
    assert everything_in(redis) == b""


def test_a_challenge_is_busy_for_another_job(
    challenges: ChallengeStore, challenge_id: SecretStr
) -> None:
    challenges.reserve(challenge_id, "a")
    with pytest.raises(ChallengeBusyError) as caught:
        challenges.reserve(challenge_id, "b")
    assert 1 <= caught.value.retry_after <= 5


def test_the_same_job_may_reserve_again(
    challenges: ChallengeStore, challenge_id: SecretStr
) -> None:
    assert challenges.reserve(challenge_id, "a") == challenges.reserve(challenge_id, "a")
    with pytest.raises(ChallengeBusyError):
        challenges.reserve(challenge_id, "b")


def test_a_reservation_ends_by_itself(
    challenges: ChallengeStore, challenge_id: SecretStr, redis: Redis
) -> None:
    challenges.reserve(challenge_id, "a")
    wait(redis, challenge_id, PRODUCTION.challenge_reservation - 30)
    with pytest.raises(ChallengeBusyError):
        challenges.reserve(challenge_id, "b")
    wait(redis, challenge_id, 31)
    assert challenges.reserve(challenge_id, "b").attempts_left == ATTEMPTS


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_process_whose_clock_is_wrong_respects_a_reservation(
    challenges: ChallengeStore,
    challenge_id: SecretStr,
    monkeypatch: pytest.MonkeyPatch,
    seconds: int,
) -> None:
    challenges.reserve(challenge_id, "a")
    real = time.time
    monkeypatch.setattr("time.time", lambda: real() + seconds)
    with pytest.raises(ChallengeBusyError):
        challenges.reserve(challenge_id, "b")


def test_reserving_again_prolongs_the_reservation(
    challenges: ChallengeStore, challenge_id: SecretStr, redis: Redis
) -> None:
    challenges.reserve(challenge_id, "a")
    for _ in range(2):
        wait(redis, challenge_id, PRODUCTION.challenge_reservation - 30)
        challenges.reserve(challenge_id, "a")
    wait(redis, challenge_id, 60)
    with pytest.raises(ChallengeBusyError):
        challenges.reserve(challenge_id, "b")


def test_a_job_that_lost_its_reservation_changes_nothing(
    challenges: ChallengeStore, challenge_id: SecretStr, redis: Redis
) -> None:
    challenges.reserve(challenge_id, "a")
    wait(redis, challenge_id, PRODUCTION.challenge_reservation + 1)
    challenges.reserve(challenge_id, "b")
    challenges.finish(challenge_id, "a")
    assert challenges.release(challenge_id, "a") is None
    assert challenges.reject(challenge_id, "a", OTHER_STATE) == 0
    with pytest.raises(ChallengeBusyError):
        challenges.reserve(challenge_id, "c")
    assert challenges.reserve(challenge_id, "b") == OpenChallenge(PENDING, ATTEMPTS)


def test_a_wrong_code_keeps_the_challenge_open(
    challenges: ChallengeStore, challenge_id: SecretStr
) -> None:
    challenges.reserve(challenge_id, "a")
    assert challenges.reject(challenge_id, "a") == ATTEMPTS - 1
    assert challenges.reserve(challenge_id, "b") == OpenChallenge(PENDING, ATTEMPTS - 1)


def test_a_wrong_code_can_replace_the_pending_state(
    challenges: ChallengeStore, challenge_id: SecretStr
) -> None:
    challenges.reserve(challenge_id, "a")
    challenges.reject(challenge_id, "a", OTHER_STATE)
    assert challenges.reserve(challenge_id, "b").pending == OTHER_STATE


def test_a_wrong_code_counts_once_a_job(
    challenges: ChallengeStore, challenge_id: SecretStr
) -> None:
    challenges.reserve(challenge_id, "a")
    assert challenges.reject(challenge_id, "a") == ATTEMPTS - 1
    assert challenges.reject(challenge_id, "a") == ATTEMPTS - 1
    assert challenges.reserve(challenge_id, "a").attempts_left == ATTEMPTS - 1
    assert challenges.reject(challenge_id, "a") == ATTEMPTS - 1
    challenges.release(challenge_id, "a")
    challenges.reserve(challenge_id, "b")
    assert challenges.reject(challenge_id, "b") == ATTEMPTS - 2


def test_the_last_wrong_code_deletes_the_challenge(
    challenges: ChallengeStore, challenge_id: SecretStr, redis: Redis
) -> None:
    left = []
    for job in ("a", "b", "c"):
        challenges.reserve(challenge_id, job)
        left.append(challenges.reject(challenge_id, job))
    assert left == [2, 1, 0]
    assert not redis.exists(key_of(challenge_id))
    assert challenges.reject(challenge_id, "c") == 0
    assert not redis.exists(key_of(challenge_id))


def test_a_released_challenge_keeps_its_attempts(
    challenges: ChallengeStore, challenge_id: SecretStr
) -> None:
    challenges.reserve(challenge_id, "a")
    assert challenges.release(challenge_id, "a") == ATTEMPTS
    assert challenges.reserve(challenge_id, "b") == OpenChallenge(PENDING, ATTEMPTS)


def test_a_challenge_that_is_gone_cannot_be_released(
    challenges: ChallengeStore, challenge_id: SecretStr, redis: Redis
) -> None:
    assert challenges.release(challenge_id, "a") is None
    challenges.reserve(challenge_id, "a")
    redis.delete(key_of(challenge_id))
    assert challenges.release(challenge_id, "a") is None
    assert challenges.reject(challenge_id, "a", OTHER_STATE) == 0
    challenges.finish(challenge_id, "a")
    assert everything_in(redis) == b""


def test_a_finished_challenge_is_gone(
    challenges: ChallengeStore, challenge_id: SecretStr, redis: Redis
) -> None:
    challenges.reserve(challenge_id, "a")
    challenges.finish(challenge_id, "a")
    assert everything_in(redis) == b""


def test_only_the_job_that_has_it_finishes_a_challenge(
    challenges: ChallengeStore, challenge_id: SecretStr
) -> None:
    challenges.reserve(challenge_id, "a")
    challenges.finish(challenge_id, "b")
    assert challenges.reserve(challenge_id, "a")


def test_of_many_jobs_one_reserves(challenges: ChallengeStore, challenge_id: SecretStr) -> None:
    answers = at_once(lambda number: challenges.reserve(challenge_id, f"job-{number}"))
    assert sum(isinstance(answer, OpenChallenge) for answer in answers) == 1
    assert sum(isinstance(answer, ChallengeBusyError) for answer in answers) == 31


def test_of_many_rejections_of_one_job_one_counts(
    challenges: ChallengeStore, challenge_id: SecretStr
) -> None:
    challenges.reserve(challenge_id, "a")
    answers = at_once(lambda _: challenges.reject(challenge_id, "a"))
    assert set(answers) == {ATTEMPTS - 1}


def test_what_was_moved_to_another_challenge_does_not_open(
    challenges: ChallengeStore, challenge_id: SecretStr, redis: Redis
) -> None:
    other = challenges.create(PENDING).challenge_id
    redis.rename(key_of(challenge_id), key_of(other))
    for _ in range(2):
        with pytest.raises(ChallengeNotFoundError):
            challenges.reserve(other, "a")
    assert everything_in(redis) == b""


def test_without_its_key_a_challenge_is_gone(challenge_id: SecretStr, redis: Redis) -> None:
    stranger = ChallengeStore(redis, Keyring.parse(new_key("test")), CHALLENGE_TTL, ATTEMPTS)
    with pytest.raises(ChallengeNotFoundError):
        stranger.reserve(challenge_id, "a")
    assert everything_in(redis) == b""


def test_no_secret_lies_in_redis_in_plain_text(
    challenges: ChallengeStore, challenge_id: SecretStr, redis: Redis
) -> None:
    challenges.reserve(challenge_id, "a")
    challenges.reject(challenge_id, "a", OTHER_STATE)
    stored = everything_in(redis)
    assert b"pending" in stored
    assert challenge_id.get_secret_value().encode() not in stored
    assert not [secret for secret in SECRETS if secret.encode() in stored]


ANNA, APP, OTHER_APP = "keyed-hash-of-anna", uuid.uuid4(), uuid.uuid4()


def test_a_newer_sign_in_ends_the_older_one_of_its_account_and_app(
    challenges: ChallengeStore, redis: Redis
) -> None:
    origins = [
        Origin(account=ANNA),
        Origin(account=ANNA, client_id=APP),
        Origin(account=ANNA, client_id=OTHER_APP),
        Origin(account="keyed-hash-of-bob", client_id=APP),
    ]
    for origin in origins:
        older, newer = (challenges.create(PENDING, origin).challenge_id for _ in range(2))
        with pytest.raises(ChallengeNotFoundError):
            challenges.reserve(older, "job", origin.client_id)
        assert challenges.reserve(newer, "job", origin.client_id).origin == origin
    assert len(list(redis.scan_iter("fittrack:challenge:*"))) == len(origins)
    assert keys_that_never_expire(redis) == []


def test_of_many_sign_ins_at_once_one_challenge_stays_open(
    challenges: ChallengeStore, redis: Redis
) -> None:
    at_once(lambda _: challenges.create(PENDING, Origin(account=ANNA)))
    assert len(list(redis.scan_iter("fittrack:challenge:*"))) == 1


def test_a_code_that_is_checked_while_a_newer_sign_in_ends_its_challenge_changes_nothing(
    challenges: ChallengeStore,
) -> None:
    origin = Origin(account=ANNA)
    older = challenges.create(PENDING, origin).challenge_id
    challenges.reserve(older, "a")
    newer = challenges.create(PENDING, origin).challenge_id
    assert challenges.reject(older, "a", OTHER_STATE) == 0
    assert challenges.release(older, "a") is None
    challenges.finish(older, "a")
    assert challenges.reserve(newer, "b") == OpenChallenge(PENDING, ATTEMPTS, origin)


def test_a_changed_origin_opens_no_challenge(challenges: ChallengeStore, redis: Redis) -> None:
    """Whoever writes to Redis can't answer another app's challenge, or answer it as nobody's."""
    for told in (str(OTHER_APP), ""):
        origin = Origin(account=ANNA, client_id=APP, client_user_id="member", address="192.0.2.1")
        challenge_id = challenges.create(PENDING, origin).challenge_id
        redis.hset(key_of(challenge_id), mapping={"client": told, "origin": "{}"})
        with pytest.raises(ChallengeNotFoundError):
            challenges.reserve(challenge_id, "a", OTHER_APP if told else None)
        assert not redis.exists(key_of(challenge_id))


def test_attempts_can_not_be_raised_from_outside(
    challenges: ChallengeStore, challenge_id: SecretStr, redis: Redis
) -> None:
    for job, left in (("a", 2), ("b", 1), ("c", 0)):
        redis.hset(key_of(challenge_id), mapping={"attempts_left": 99, "rejected": job})
        assert challenges.reserve(challenge_id, job).attempts_left == left + 1
        assert challenges.reject(challenge_id, job) == left
    assert not redis.hexists(key_of(challenge_id), "pending")


def test_attempts_of_another_challenge_do_not_open(
    challenges: ChallengeStore, challenge_id: SecretStr, redis: Redis
) -> None:
    challenges.reserve(challenge_id, "a")
    fresh = redis.hget(key_of(challenges.create(PENDING).challenge_id), "pending")
    assert isinstance(fresh, bytes)
    redis.hset(key_of(challenge_id), "pending", fresh)
    assert challenges.reject(challenge_id, "a") == 0
    with pytest.raises(ChallengeNotFoundError):
        challenges.reserve(challenge_id, "b")


def test_a_challenge_of_an_earlier_version_takes_no_code(
    challenges: ChallengeStore, challenge_id: SecretStr, redis: Redis, keyring: Keyring
) -> None:
    name = token_hash(challenge_id.get_secret_value())
    redis.hset(
        key_of(challenge_id), "pending", keyring.seal(PENDING.reveal(), Purpose.CHALLENGE, name)
    )
    with pytest.raises(ChallengeNotFoundError):
        challenges.reserve(challenge_id, "a")


def test_nothing_prolongs_a_challenge(
    challenges: ChallengeStore, challenge_id: SecretStr, redis: Redis
) -> None:
    assert 0 < redis.ttl(key_of(challenge_id)) <= CHALLENGE_TTL
    redis.expire(key_of(challenge_id), 60)
    challenges.reserve(challenge_id, "a")
    challenges.reject(challenge_id, "a", OTHER_STATE)
    challenges.reserve(challenge_id, "b")
    challenges.release(challenge_id, "b")
    assert keys_that_never_expire(redis) == []
    assert 0 < redis.ttl(key_of(challenge_id)) <= 60


def test_without_redis_every_method_raises_unavailable(keyring: Keyring) -> None:
    with connect(f"redis://{nothing_listens()}/0", timeout=5) as redis:
        store = ChallengeStore(redis, keyring, CHALLENGE_TTL, ATTEMPTS)
        challenge_id = SecretStr("one")
        calls: list[Callable[[], object]] = [
            lambda: store.create(PENDING),
            lambda: store.reserve(challenge_id, "a"),
            lambda: store.release(challenge_id, "a"),
            lambda: store.reject(challenge_id, "a"),
            lambda: store.finish(challenge_id, "a"),
        ]
        for call in calls:
            with pytest.raises(ServiceUnavailableError):
                call()
