"""Check a worker's environment, and build what it runs."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from pydantic import SecretStr

from shared.accounts.accounts import Accounts
from shared.audit.outbox import EventOutbox
from shared.broker.connection_counts import COUNT_INTERVAL, ConnectionCounts
from shared.broker.keep_alive import KeepAlive
from shared.broker.refreshes import Refreshes
from shared.clocks import CHECK_INTERVAL, CHECK_RETRY, Clocks
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.deployment import Deployment
from shared.errors import ConfigurationError, DriverFailedError
from shared.jobs.account_limit import AccountLimit, CodeLimit
from shared.jobs.challenges import ChallengeStore
from shared.jobs.claims import JobClaims
from shared.jobs.lost_messages import LostMessages
from shared.jobs.queue import JobQueue, QueuedMessages
from shared.jobs.states import JobKind
from shared.jobs.store import JobStore
from shared.jobs.submission import Submitter
from shared.redis.clock import ClockReports
from shared.redis.connection import Redis, RedisHealth, connect
from shared.redis.database_disk import DatabaseDisk
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.driver_keys import DriverUse
from shared.redis.faults import RedisFaults
from shared.redis.key_refusals import KeyRefusals
from shared.redis.left_proxies import LeftProxies
from shared.redis.measurements import Measurements
from shared.redis.oauth_consumer import KeptConsumer
from shared.redis.password_posts import PasswordPosts
from shared.redis.unknown_answers import UnknownAnswers
from shared.redis.webhook_figures import WebhookFigures
from shared.settings import KNOWN_DRIVERS, Settings
from shared.timings import Timings
from worker.chain import DriverChain
from worker.drivers.consumer import ConsumerStore
from worker.drivers.driver import GarminDriver
from worker.drivers.guided import GuidedDriver
from worker.drivers.http import GarminAdapter
from worker.drivers.lazy import LazyDriver
from worker.drivers.proxies import GarminProxies, Proxy
from worker.handlers.code_resend import CodeResendHandler
from worker.handlers.completion import Completion
from worker.handlers.imports import ImportHandler
from worker.handlers.login import LoginHandler
from worker.handlers.mfa_completion import MfaCompletionHandler
from worker.handlers.refresh import RefreshHandler
from worker.health import heartbeat_file
from worker.heartbeat import Heartbeat
from worker.lease import LeaseKeeper
from worker.marks import RunMarks
from worker.measuring import MeasuredGarmin
from worker.processor import CHECK_EVERY, OneProcessor, processors
from worker.runner import JobRunner
from worker.schedule import Housekeeping, Periodic, sweep
from worker.shares import ThreadShares
from worker.webhooks.courier import Courier
from worker.webhooks.dispatch import WebhookDispatcher

_GARTH_TRAPS = {"GARTH_HOME", "GARTH_TOKEN", "GARTH_TELEMETRY_ENABLED"}


def check_environment(environment: Mapping[str, str]) -> None:
    """Refuse variables with which garth uses one person's tokens for every sign-in."""
    traps = sorted(name for name in environment if name.upper() in _GARTH_TRAPS)
    if traps:
        names = ", ".join(traps)
        raise ConfigurationError(f"{names} must not be set: garth would share one account")


def open_database(settings: Settings, timings: Timings) -> Database:
    """Connect. Raises ConfigurationError if it does not answer or is not migrated."""
    redis = connect(
        settings.redis_url.get_secret_value(),
        timeout=timings.redis_answer_worker,
        keyspace=settings.keyspace,
    )
    url = settings.database_url.get_secret_value()
    return Database.migrated(url, timings, DatabaseDisk(redis).report_full)


def build_runner(
    settings: Settings,
    database: Database,
    timings: Timings,
    threads: int,
    measurements: Measurements,
) -> JobRunner:
    """Check everything, then build. Raises ConfigurationError with one line."""
    check_environment(os.environ)
    keyring, ttl = Keyring.parse(settings.encryption_keys.get_secret_value()), settings.job_ttl
    keyspace = settings.keyspace
    url = settings.redis_url.get_secret_value()
    patient = connect(
        url,
        timeout=timings.redis_answer_worker,
        patience=timings.redis_patience_worker,
        keyspace=keyspace,
    )
    prompt = connect(url, timeout=timings.redis_answer_worker, keyspace=keyspace)
    proxies = _proxies(settings, keyring, prompt)
    measured = MeasuredGarmin(measurements, UnknownAnswers(prompt))
    adapter = GarminAdapter(timings, proxies, measured)
    drivers = {
        name: GuidedDriver(driver, proxies)
        for name, driver in _drivers(
            settings.garmin_drivers, adapter, KeptConsumer(prompt, keyring)
        ).items()
    }
    challenges = ChallengeStore(
        patient, keyring, settings.challenge_ttl, settings.mfa_attempts, timings
    )
    chain = DriverChain(
        [drivers[name] for name in settings.garmin_drivers],
        DriverCooldowns(patient, timings),
        PasswordPosts(patient),
    )
    completion = Completion(
        chain=chain,
        accounts=Accounts(database, keyring, settings.session_ttl, settings.session_idle_ttl),
        limit=AccountLimit(patient, settings.limit_login_per_account),
        codes=CodeLimit(patient, settings.limit_codes_per_account),
        measurements=measurements,
    )
    refresh_cooldowns = DriverCooldowns(patient, timings, DriverUse.REFRESH)
    return JobRunner(
        claims=JobClaims(patient, keyring, ttl, timings),
        keeper=LeaseKeeper(JobClaims(prompt, keyring, ttl, timings), timings),
        marks=RunMarks.at(settings.database_url.get_secret_value(), timings),
        handlers={
            JobKind.LOGIN: LoginHandler(chain, challenges, completion),
            JobKind.MFA_COMPLETION: MfaCompletionHandler(chain, challenges, completion),
            JobKind.CODE_RESEND: CodeResendHandler(chain, challenges, completion),
            JobKind.IMPORT: ImportHandler(drivers, refresh_cooldowns, completion),
            JobKind.REFRESH: RefreshHandler(
                drivers,
                refresh_cooldowns,
                KeyRefusals(patient, timings),
                database,
                keyring,
                measurements,
            ),
        },
        shares=ThreadShares(threads, settings.share_per_ip, settings.share_per_client, timings),
        timings=timings,
        measurements=measurements,
    )


def build_courier(settings: Settings, database: Database, timings: Timings) -> Courier:
    """Build what delivers webhooks. It loads what it needs with the first one."""
    redis = connect(
        settings.redis_url.get_secret_value(),
        timeout=timings.redis_answer_worker,
        keyspace=settings.keyspace,
    )
    keyring = Keyring.parse(settings.encryption_keys.get_secret_value())
    return Courier(database, keyring, WebhookFigures(redis), timings)


def build_schedule(
    settings: Settings,
    database: Database,
    deployment: Deployment,
    timings: Timings,
    measurements: Measurements,
) -> list[Periodic]:
    """Return what a worker does beside its jobs."""
    url, timeout, keyspace = settings.queue_url, timings.redis_answer_worker, settings.keyspace
    redis = connect(settings.redis_url.get_secret_value(), timeout=timeout, keyspace=keyspace)
    broker = connect(url, timeout=timeout, keyspace=keyspace)
    queue = JobQueue(url, timeout, keyspace)
    messages = QueuedMessages(broker)
    lost_messages = LostMessages(redis, messages, queue, timings)
    clocks = Clocks(ClockReports(redis), database, "worker")
    keyring = Keyring.parse(settings.encryption_keys.get_secret_value())
    refreshes = Refreshes(
        Submitter(JobStore(redis, keyring, settings.job_ttl, timings), queue),
        DriverCooldowns(redis, timings, DriverUse.REFRESH),
    )
    webhooks = WebhookDispatcher(database, keyring, queue, messages, WebhookFigures(redis), timings)
    keep_alive = KeepAlive(redis, database, keyring, refreshes, settings.refresh_rate)
    work = Housekeeping(
        EventOutbox(redis), database, settings.event_days, settings.session_idle_ttl, clocks
    )
    faults = [RedisFaults("redis", redis)]
    if settings.has_own_broker:
        faults.append(RedisFaults("broker", broker))
    retry = timings.delivery_retry
    counts = ConnectionCounts(redis)
    return [
        *_processor(settings),
        Periodic("deployment mark", deployment.renew, deployment.renewal, retry),
        Periodic("event delivery", work.deliver_events, timings.delivery_interval, retry),
        Periodic("retention", work.delete_old, timings.retention_interval, retry),
        Periodic("faults of Redis", lambda: _check(faults), timings.faults_interval, retry),
        Periodic("clocks", clocks.check, CHECK_INTERVAL, CHECK_RETRY),
        Periodic(
            "measurements",
            lambda: measurements.flush_to(redis),
            timings.measurements_interval,
            retry,
        ),
        Periodic("connection counts", lambda: counts.renew(database), COUNT_INTERVAL, retry),
        Periodic("keep-alive", keep_alive.submit_due, timings.keep_alive_interval, retry),
        Periodic("webhooks", webhooks.dispatch, timings.webhook_interval, retry),
        Periodic("webhook report", webhooks.report, timings.webhook_report, retry),
        Periodic("sweep", lambda: sweep(lost_messages), timings.sweep_interval, retry),
    ]


def _processor(settings: Settings) -> Iterator[Periodic]:
    """Yield what keeps the threads on one processor, where there are more."""
    if settings.worker_one_processor and len(processors()) > 1:
        yield Periodic("processor", OneProcessor().follow, CHECK_EVERY, CHECK_EVERY)


def _check(faults: Iterable[RedisFaults]) -> None:
    for of_one in faults:
        of_one.check()


def build_heartbeat(settings: Settings, timings: Timings) -> Heartbeat:
    broker = connect(settings.queue_url, timeout=timings.redis_answer_worker)
    return Heartbeat(heartbeat_file(), RedisHealth(broker), timings.heartbeat_interval)


def _proxies(settings: Settings, keyring: Keyring, redis: Redis) -> GarminProxies:
    urls = [url.get_secret_value() for url in settings.garmin_proxy]
    proxies = [Proxy(keyring.hash_name(url), SecretStr(url)) for url in urls]
    return GarminProxies(proxies, LeftProxies(redis))


def _drivers(
    names: tuple[str, ...], adapter: GarminAdapter, consumers: ConsumerStore
) -> dict[str, LazyDriver]:
    """Build all drivers: also tokens of one that no longer signs in are refreshed.

    `names` are those that sign in. The first is loaded now, each other when it is needed.
    """

    def garth() -> GarminDriver:
        from worker.drivers.garth import GarthDriver

        return GarthDriver(adapter, consumers, redeem_at_di="garminconnect" in names)

    def garminconnect() -> GarminDriver:
        from worker.drivers.garminconnect import GarminConnectDriver

        return GarminConnectDriver(adapter, adapter.timings)

    def personal_api() -> GarminDriver:
        from worker.drivers.personal_api import PersonalApiDriver

        return PersonalApiDriver(adapter)

    load = {"garth": garth, "garminconnect": garminconnect, "personal_api": personal_api}
    drivers = {name: LazyDriver(name, load[name]) for name in KNOWN_DRIVERS}
    with suppress(DriverFailedError):  # logged; it is tried again with the first sign-in
        drivers[names[0]].loaded()
    return drivers
