"""The HTTP API: `uvicorn api.main:app`."""

import sys

from starlette.applications import Starlette

from api.app import THREADS, create_app
from api.metrics import Metrics
from api.notifications import JobNotifications
from api.services import Services
from shared.challenges import ChallengeStore
from shared.database import Database
from shared.driver_rests import DriverRests
from shared.errors import ConfigurationError
from shared.jobs import JobStore
from shared.logs import configure_logging
from shared.queue import JobQueue
from shared.redis_connection import RedisHealth, connect
from shared.settings import Settings
from shared.tallies import JobTallies, QueueLengths

# A submission makes three calls at the most, and has to be answered within three seconds.
_REDIS_TIMEOUT = 0.8


def build() -> Starlette:
    """Raises ConfigurationError. Connects to nothing yet: `/readyz` tells what is missing."""
    settings = Settings.from_environment()
    configure_logging(settings.log_level, settings.log_format)
    keyring = settings.keyring()
    url = settings.redis_url.get_secret_value()
    redis = connect(url, timeout=_REDIS_TIMEOUT)
    broker = connect(settings.queue_url, timeout=_REDIS_TIMEOUT)
    metrics = Metrics(
        JobTallies(redis), QueueLengths(broker), DriverRests(redis), settings.garmin_drivers
    )
    services = Services(
        jobs=JobStore(redis, keyring, settings.job_ttl),
        challenges=ChallengeStore(redis, keyring, settings.challenge_ttl, settings.mfa_attempts),
        queue=JobQueue(settings.queue_url, _REDIS_TIMEOUT, THREADS),
        database=Database(settings.database_url.get_secret_value()),
        redis=RedisHealth(redis),
        notifications=JobNotifications(url, timeout=10.0),
        metrics=metrics,
    )
    return create_app(services)


try:
    app = build()
except ConfigurationError as error:
    sys.exit(f"fittrack-auth api: {error}")
