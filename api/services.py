"""What the endpoints are handed: built once in `api/main.py`."""

from dataclasses import dataclass

from starlette.requests import Request

from api.limits import SubmissionLimits
from api.metrics import Metrics
from api.notifications import JobNotifications
from shared.accounts import Accounts
from shared.challenges import ChallengeStore
from shared.database import Database
from shared.driver_rests import DriverRests
from shared.event_outbox import EventOutbox
from shared.jobs import JobStore
from shared.queue import JobQueue
from shared.redis_connection import RedisHealth
from shared.sealing import Keyring


@dataclass(frozen=True)
class Services:
    """`drivers` are the Garmin libraries in use, `session_idle` is in seconds."""

    keyring: Keyring
    jobs: JobStore
    challenges: ChallengeStore
    queue: JobQueue
    limits: SubmissionLimits
    rests: DriverRests
    drivers: tuple[str, ...]
    events: EventOutbox
    accounts: Accounts
    database: Database
    redis: RedisHealth
    notifications: JobNotifications
    metrics: Metrics
    session_idle: int
    require_client_key: bool


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found
