"""What the endpoints are handed: built once in `api/main.py`."""

from dataclasses import dataclass

from starlette.requests import Request

from api.client_keys import ClientKeys
from api.database import AsyncDatabase
from api.degradation import Degradation
from api.http.limits import SubmissionLimits
from api.metrics import Metrics
from api.notifications import JobNotifications
from api.polls import JobPolls
from api.token_refreshes import TokenRefreshes
from api.token_requests import TokenRequests
from shared.accounts.accounts import Accounts
from shared.audit.outbox import EventOutbox
from shared.broker.tokens import TokenBroker
from shared.clocks import Clocks
from shared.connect.store import ConnectSessions
from shared.crypto.keyring import Keyring
from shared.deployment import Deployment
from shared.jobs.account_limit import AccountLimit, CodeLimit
from shared.jobs.cancellation import JobCancellation
from shared.jobs.challenges import ChallengeStore
from shared.jobs.store import JobStore
from shared.jobs.submission import Submitter
from shared.redis.connection import RedisHealth
from shared.redis.driver_cooldowns import DriverCooldowns


@dataclass(frozen=True)
class Services:
    """`drivers` are the Garmin libraries in use, `session_idle` is in seconds."""

    keyring: Keyring
    jobs: JobStore
    challenges: ChallengeStore
    submitter: Submitter
    cancellation: JobCancellation
    connect_sessions: ConnectSessions
    limits: SubmissionLimits
    account_limit: AccountLimit
    code_limit: CodeLimit
    cooldowns: DriverCooldowns
    drivers: tuple[str, ...]
    events: EventOutbox
    accounts: Accounts
    client_keys: ClientKeys
    database: AsyncDatabase
    deployment: Deployment
    redis: RedisHealth
    degradation: Degradation
    notifications: JobNotifications
    polls: JobPolls
    metrics: Metrics
    clocks: Clocks
    broker: TokenBroker
    token_refreshes: TokenRefreshes
    token_requests: TokenRequests
    session_tokens: bool
    session_idle: int
    require_client_key: bool
    public_url: str | None


def services(request: Request) -> Services:
    """The services of the application that answers this request."""
    state: Services = request.app.state.services
    return state
