"""Builds the HTTP API from the environment's settings."""

import sys

from starlette.applications import Starlette

from api.app import create_app
from api.async_redis import AsyncRedis
from api.client_keys import ClientKeys
from api.database import AsyncDatabase
from api.degradation import Degradation
from api.http.limits import SenderLimit, SubmissionLimits
from api.http.middleware import WithoutServerHeader
from api.http.networks import NetworkLimit
from api.metrics import Metrics
from api.notifications import JobNotifications
from api.polls import JobPolls
from api.reads import reads
from api.services import Services
from api.token_refreshes import TokenRefreshes
from api.token_requests import TokenRequests
from shared.accounts.accounts import Accounts
from shared.audit.outbox import EventOutbox
from shared.broker.connection_counts import ConnectionCounts
from shared.broker.counting import TokenReads
from shared.broker.refreshes import Refreshes
from shared.broker.tokens import TokenBroker
from shared.clocks import Clocks
from shared.connect.store import ConnectSessions
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.deployment import Deployment
from shared.errors import ConfigurationError
from shared.jobs.account_limit import AccountLimit, CodeLimit
from shared.jobs.cancellation import JobCancellation
from shared.jobs.challenges import ChallengeStore
from shared.jobs.counters import JobCounters
from shared.jobs.queue import JobQueue
from shared.jobs.set_aside import SetAside
from shared.jobs.store import JobStore
from shared.jobs.submission import Submitter
from shared.logs.configuration import configure_logging
from shared.memory import limit_arenas
from shared.redis.clock import ClockReports
from shared.redis.connection import Redis, RedisHealth, connect
from shared.redis.database_disk import DatabaseDisk
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.driver_keys import DriverUse
from shared.redis.driver_states import DriverStates
from shared.redis.faults import RedisFaults
from shared.redis.measurements import MeasuredSums
from shared.redis.rate_limits import (
    CODE_PER_CHALLENGE,
    CODE_PER_CLIENT,
    CODE_PER_IP,
    LOGIN_PER_CLIENT,
    LOGIN_PER_IP,
    REFRESHES_PER_CONNECTION,
    TOKENS_PER_CLIENT,
    WRONG_KEY_PER_IP,
    RateLimit,
)
from shared.redis.unknown_answers import UnknownAnswers
from shared.redis.webhook_figures import WebhookFigures
from shared.settings import Settings
from shared.timings import Timings

_DATABASE_CONNECTIONS = 16
_WRONG_KEYS = "30/minute"


def build(timings: Timings) -> Starlette:
    """Raise ConfigurationError. No server has to answer yet: `/readyz` tells what is missing."""
    settings = Settings.from_environment()
    configure_logging(settings.log_level, settings.log_format)
    keyring = Keyring.parse(settings.encryption_keys.get_secret_value())
    url, database_url = (
        settings.redis_url.get_secret_value(),
        settings.database_url.get_secret_value(),
    )
    keyspace = settings.keyspace
    redis = connect(url, timeout=timings.redis_answer_api, keyspace=keyspace)
    # Half of the connections are kept open, the others come and go.
    database = Database(
        database_url,
        timings,
        pool_size=_DATABASE_CONNECTIONS // 2,
        on_full=DatabaseDisk(redis).report_full,
    )
    endpoints_database = AsyncDatabase(database, timings, _DATABASE_CONNECTIONS)
    deployment = Deployment.of(settings, database, timings.redis_answer_api, timings)
    deployment.start()
    database.close()  # the first request opens it again: nothing is shared with a forked process
    jobs = JobStore(redis, keyring, settings.job_ttl, timings)
    queue = JobQueue(settings.queue_url, timings.redis_answer_api, keyspace)
    clock_reports = ClockReports(redis)
    submitter = Submitter(jobs, queue)
    notifications = JobNotifications(url, keyspace, timings)
    polls = JobPolls(url, keyspace, keyring, timings)
    broker = TokenBroker(keyring)
    client_keys = ClientKeys(
        endpoints_database, NetworkLimit(redis, WRONG_KEY_PER_IP, _WRONG_KEYS, keyring)
    )
    services = Services(
        keyring=keyring,
        jobs=jobs,
        challenges=ChallengeStore(
            redis, keyring, settings.challenge_ttl, settings.mfa_attempts, timings
        ),
        submitter=submitter,
        cancellation=JobCancellation(redis, keyring, timings),
        connect_sessions=ConnectSessions(redis, keyring),
        limits=_limits(redis, settings, keyring),
        account_limit=AccountLimit(redis, settings.limit_login_per_account),
        code_limit=CodeLimit(redis, settings.limit_codes_per_account),
        cooldowns=DriverCooldowns(redis, timings),
        drivers=settings.garmin_drivers,
        events=EventOutbox(redis),
        accounts=Accounts(database, keyring, settings.session_ttl, settings.session_idle_ttl),
        client_keys=client_keys,
        database=endpoints_database,
        deployment=deployment,
        redis=RedisHealth(redis),
        degradation=_degradation(redis, settings, timings),
        notifications=notifications,
        polls=polls,
        broker=broker,
        token_refreshes=TokenRefreshes(
            Refreshes(submitter, DriverCooldowns(redis, timings, DriverUse.REFRESH)),
            RateLimit(redis, REFRESHES_PER_CONNECTION, settings.limit_refreshes_per_connection),
            polls,
            notifications,
            timings,
        ),
        token_requests=TokenRequests(
            client_keys,
            reads(database_url, endpoints_database, timings),
            broker,
            TokenReads(
                EventOutbox(redis),
                RateLimit(redis, TOKENS_PER_CLIENT, settings.limit_tokens_per_client),
            ),
            AsyncRedis(url, timings),
        ),
        session_tokens=settings.session_tokens,
        metrics=Metrics(
            JobCounters(redis),
            SetAside(redis),
            DriverStates(redis),
            UnknownAnswers(redis),
            settings.garmin_drivers,
            clock_reports,
            MeasuredSums(redis),
            ConnectionCounts(redis),
            WebhookFigures(redis),
        ),
        clocks=Clocks(clock_reports, database, "api"),
        session_idle=settings.session_idle_ttl,
        require_client_key=settings.require_client_key,
        public_url=settings.public_url,
    )
    return create_app(services, settings.cors_origins)


def _degradation(redis: Redis, settings: Settings, timings: Timings) -> Degradation:
    faults = [RedisFaults("redis", redis)]
    if settings.has_own_broker:
        broker = connect(settings.queue_url, timeout=timings.redis_answer_api)
        faults.append(RedisFaults("broker", broker))
    return Degradation(faults, DatabaseDisk(redis))


def _limits(redis: Redis, settings: Settings, keyring: Keyring) -> SubmissionLimits:
    return SubmissionLimits(
        login=SenderLimit(
            RateLimit(redis, LOGIN_PER_CLIENT, settings.limit_login_per_client),
            NetworkLimit(redis, LOGIN_PER_IP, settings.limit_login_per_ip, keyring),
        ),
        code=SenderLimit(
            RateLimit(redis, CODE_PER_CLIENT, settings.limit_code_per_client),
            NetworkLimit(redis, CODE_PER_IP, settings.limit_code_per_ip, keyring),
        ),
        code_per_challenge=RateLimit(redis, CODE_PER_CHALLENGE, settings.limit_code_per_challenge),
    )


def start(timings: Timings) -> WithoutServerHeader:
    """Build the application, or exit with one line that says what is wrong with the settings."""
    limit_arenas()
    try:
        return WithoutServerHeader(build(timings))
    except ConfigurationError as error:
        sys.exit(f"fittrack-auth api: {error}")
