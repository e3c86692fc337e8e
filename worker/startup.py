"""What must be right before a worker takes its first job, and what it is then made of."""

import os
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from shared.accounts.accounts import Accounts
from shared.audit.outbox import EventOutbox
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.errors import ClientRefusedError, ConfigurationError
from shared.jobs.challenges import ChallengeStore
from shared.jobs.store import JobStore
from shared.redis.connection import connect
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.rate_limits import LOGIN_PER_ACCOUNT, RateLimit
from shared.settings import Settings
from shared.timings import Timings
from worker.chain import DriverChain
from worker.drivers.driver import GarminDriver
from worker.drivers.http import GarminAdapter
from worker.drivers.lazy import LazyDriver
from worker.lease import LeaseKeeper
from worker.runner import SignInRunner
from worker.schedule import Housekeeping

_GARTH_TRAPS = {"GARTH_HOME", "GARTH_TOKEN", "GARTH_TELEMETRY_ENABLED"}


def check_environment(environment: Mapping[str, str]) -> None:
    """Where these are set, garth reads and writes one person's tokens, whoever signs in."""
    found = sorted(name for name in environment if name.upper() in _GARTH_TRAPS)
    if found:
        message = f"{', '.join(found)} must not be set for a worker: garth would share one account"
        raise ConfigurationError(message)


def open_database(settings: Settings, timings: Timings) -> Database:
    """Raises ConfigurationError if it does not answer or is not migrated."""
    return Database.migrated(settings.database_url.get_secret_value(), timings)


def build_runner(settings: Settings, database: Database, timings: Timings) -> SignInRunner:
    """Checks everything, then builds. Raises ConfigurationError with one line."""
    check_environment(os.environ)
    keyring = Keyring.parse(settings.encryption_keys.get_secret_value())
    url = settings.redis_url.get_secret_value()
    patient = connect(
        url, timeout=timings.redis_answer_worker, patience=timings.redis_patience_worker
    )
    prompt = connect(url, timeout=timings.redis_answer_worker)
    return SignInRunner(
        jobs=JobStore(patient, keyring, settings.job_ttl, timings),
        challenges=ChallengeStore(
            patient, keyring, settings.challenge_ttl, settings.mfa_attempts, timings
        ),
        chain=DriverChain(_drivers(settings.garmin_drivers, timings), DriverCooldowns(patient)),
        accounts=Accounts(database, keyring, settings.session_ttl),
        failures=RateLimit(patient, LOGIN_PER_ACCOUNT, settings.limit_login_per_account),
        keeper=LeaseKeeper(JobStore(prompt, keyring, settings.job_ttl, timings), timings),
        timings=timings,
    )


def build_housekeeping(settings: Settings, database: Database, timings: Timings) -> Housekeeping:
    redis = connect(settings.redis_url.get_secret_value(), timeout=timings.redis_answer_worker)
    days, idle = settings.event_days, settings.session_idle_ttl
    return Housekeeping(EventOutbox(redis), database, days, idle, timings)


def _drivers(names: tuple[str, ...], timings: Timings) -> list[LazyDriver]:
    """Build the drivers in their order. The first is loaded now, each other when it is needed."""
    adapter = GarminAdapter(timings)
    drivers = [LazyDriver(name, partial(_load, name, adapter, timings)) for name in names]
    with suppress(ClientRefusedError):  # logged; it is tried again with the first sign-in
        drivers[0].loaded()
    return drivers


def _load(name: str, adapter: GarminAdapter, timings: Timings) -> GarminDriver:
    if name == "garth":
        from worker.drivers.garth import GarthDriver

        return GarthDriver(adapter)
    from worker.drivers.garminconnect import GarminConnectDriver

    return GarminConnectDriver(adapter, timings)
