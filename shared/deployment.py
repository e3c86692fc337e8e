"""The mark that stops a second deployment from using the same names in Redis.

`fittrack:deployment` holds the id of the deployment's database, and is renewed by every running
process. Where Celery's queues are in another Redis, they have a mark there.
"""

import logging
import os
import signal
import uuid
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy.exc import ProgrammingError

from shared.database.engine import Database
from shared.database.identity import database_id
from shared.errors import ConfigurationError, ServiceUnavailableError
from shared.redis.connection import LuaScript, Redis, connect, redis_errors_translated
from shared.settings import Settings
from shared.timings import PRODUCTION, Timings

_SCRIPTS = "shared.redis"

_log = logging.getLogger(__name__)


class OtherDeploymentError(ConfigurationError):
    """A deployment with another database uses the same names in Redis."""


class Deployment:
    """This deployment, as its database and its Redis servers know it."""

    def __init__(
        self, database: Database, servers: Sequence[Redis], timings: Timings = PRODUCTION
    ) -> None:
        self._database = database
        self._marks = [
            (
                server.keyspace.key("deployment"),
                LuaScript(server, _SCRIPTS, "deployment_claim"),
            )
            for server in servers
        ]
        self._ttl = timings.deployment_mark
        self.renewal = timings.deployment_renewal
        self._id: uuid.UUID | None = None
        self._claimed = False

    @classmethod
    def of(
        cls, settings: Settings, database: Database, timeout: float, timings: Timings = PRODUCTION
    ) -> "Deployment":
        """`timeout` is for an answer of Redis, in seconds."""
        urls = dict.fromkeys((settings.redis_url.get_secret_value(), settings.queue_url))
        servers = [connect(url, timeout=timeout, keyspace=settings.keyspace) for url in urls]
        return cls(database, servers, timings)

    def start(self) -> None:
        """Claim the names, or leave that to `renew` if a server is away.

        Raises OtherDeploymentError.
        """
        with suppress(ServiceUnavailableError):
            self.claim()

    def claim(self) -> None:
        """Set or renew the marks. Raises OtherDeploymentError, ServiceUnavailableError."""
        for key, script in self._marks:
            self._claim(key, script)
        self._claimed = True

    def renew(self) -> None:
        """Claim again. Raises ServiceUnavailableError.

        If the names turn out to be another deployment's: a process that never held them stops, one
        that did says so and goes on.
        """
        try:
            self.claim()
        except OtherDeploymentError as error:
            # As text: an error itself is logged by its type.
            _log.error("%s", str(error))  # noqa: TRY400, RUF100
            if not self._claimed:
                os.kill(os.getpid(), signal.SIGTERM)

    @redis_errors_translated
    def _claim(self, key: str, script: LuaScript) -> None:
        if self._id is None:
            self._id = self._read_id()
        holder = script(key, database=str(self._id), ttl=int(self._ttl * 1000)).decode()
        if holder != str(self._id):
            raise OtherDeploymentError(
                f"another deployment, with the database {holder}, holds {key} in this Redis: set "
                "another FITTRACK_REDIS_PREFIX, or stop the other one and wait "
                f"{self._ttl:g} seconds"
            )

    def _read_id(self) -> uuid.UUID:
        try:
            return self._database.run(database_id)
        except ProgrammingError:  # not migrated yet
            raise ServiceUnavailableError("database") from None
