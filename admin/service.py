"""The service as the operator's commands see it: its settings, database and keys."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from shared.accounts.clients import ClientRepository
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.errors import UnknownClientError
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


def find_app(service: Service, name: str) -> uuid.UUID:
    """Return the id of the app with this name. An id stands for itself, also a removed app's.

    Raises UnknownClientError.
    """
    try:
        return service.database.run(lambda session: ClientRepository(session).named(name)).client_id
    except UnknownClientError:
        with suppress(ValueError):
            return uuid.UUID(name)
        raise
