"""What the endpoints are handed: built once in `api/main.py`."""

from dataclasses import dataclass

from starlette.requests import Request

from api.metrics import Metrics
from api.notifications import JobNotifications
from shared.challenges import ChallengeStore
from shared.database import Database
from shared.jobs import JobStore
from shared.queue import JobQueue
from shared.redis_connection import RedisHealth


@dataclass(frozen=True)
class Services:
    jobs: JobStore
    challenges: ChallengeStore
    queue: JobQueue
    database: Database
    redis: RedisHealth
    notifications: JobNotifications
    metrics: Metrics


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found
