"""The service as the operator's commands see it: its settings, database and keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.redis.connection import Redis, connect
from shared.settings import Settings

REDIS_TIMEOUT = 5.0


@dataclass(frozen=True)
class Service:
    settings: Settings
    database: Database
    keyring: Keyring

    def redis(self) -> Redis:
        return redis_client(self.settings)


def redis_client(settings: Settings) -> Redis:
    """Return a client that does not wait long."""
    url, keyspace = settings.redis_url.get_secret_value(), settings.keyspace
    return connect(url, timeout=REDIS_TIMEOUT, keyspace=keyspace)


@contextmanager
def open_service() -> Iterator[Service]:
    """Open the service that the environment describes. Raises ConfigurationError."""
    settings = Settings.from_environment()
    keyring = Keyring.parse(settings.encryption_keys.get_secret_value())
    database = Database.migrated(settings.database_url.get_secret_value())
    try:
        yield Service(settings, database, keyring)
    finally:
        database.close()
