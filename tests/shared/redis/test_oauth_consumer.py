"""garth's OAuth consumer, kept for the next process, over real Redis and over fakeredis."""

import pytest

from dev.stack import new_key
from shared.crypto.keyring import Keyring
from shared.errors import ServiceUnavailableError
from shared.redis.connection import Redis, connect
from shared.redis.oauth_consumer import KeptConsumer
from tests.shared.samples import keys_that_never_expire, nothing_listens

KEY = "fittrack:oauth-consumer"
CONSUMER = b'{"consumer_key": "key", "consumer_secret": "secret"}'


@pytest.fixture
def kept(redis: Redis, keyring: Keyring) -> KeptConsumer:
    return KeptConsumer(redis, keyring)


def test_another_process_finds_the_consumer(
    kept: KeptConsumer, redis: Redis, keyring: Keyring
) -> None:
    assert kept.load() is None
    kept.save(CONSUMER)
    assert KeptConsumer(redis, keyring).load() == CONSUMER
    assert keys_that_never_expire(redis) == []


def test_using_the_consumer_keeps_it(kept: KeptConsumer, redis: Redis) -> None:
    kept.save(CONSUMER)
    redis.expire(KEY, 60)
    kept.load()
    assert redis.ttl(KEY) > 29 * 86_400


@pytest.mark.parametrize("value", [b"", b"nonsense", b'{"consumer_key":"a","consumer_secret":"b"}'])
def test_what_somebody_else_wrote_is_not_used(
    kept: KeptConsumer, redis: Redis, value: bytes
) -> None:
    redis.set(KEY, value)
    assert kept.load() is None


def test_a_seal_of_another_key_is_not_used(kept: KeptConsumer, redis: Redis) -> None:
    KeptConsumer(redis, Keyring.parse(new_key("other"))).save(CONSUMER)
    assert kept.load() is None


def test_without_redis_the_service_is_unavailable(keyring: Keyring) -> None:
    with connect(f"redis://{nothing_listens()}/0", timeout=5) as redis:
        kept = KeptConsumer(redis, keyring)
        for call in (kept.load, lambda: kept.save(CONSUMER)):
            with pytest.raises(ServiceUnavailableError):
                call()
