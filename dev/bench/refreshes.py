"""(i) how many refreshes a second one worker makes."""

import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import Self

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from dev.bench.client import sign_in_all
from dev.bench.cpu import CpuMeter, shares
from dev.bench.figures import Aim, Figure
from dev.bench.place import Place
from dev.bench.sign_ins import LATENCY
from dev.stack import Stack
from shared.accounts.refreshes import DueTokens
from shared.accounts.tokens import TokenRepository
from shared.broker.refreshes import Refreshes
from shared.crypto.keyring import Keyring
from shared.database.engine import Database
from shared.database.models import GarminToken, User
from shared.jobs.counters import JobCounters
from shared.jobs.queue import JobQueue
from shared.jobs.store import JobStore
from shared.jobs.submission import Submitter
from shared.redis.connection import connect
from shared.redis.driver_cooldowns import DriverCooldowns
from shared.redis.driver_keys import DriverUse

_ROUND = 64
_ROUNDS = 6
_THREADS = 16
_PATIENCE = 60.0


def refreshes_a_second(place: Place) -> list[Figure]:
    """Half of the people's tokens are refreshed by the service, the others by garminconnect."""
    with place.stack() as stack, place.bare_python("garminconnect-refreshes") as bare:
        stack.start()
        place.garmin.configure(refuse={"oauth1": {"status": 403}}, latency_ms=0)
        worker = _Worker.of(stack)
        worker.database.run(lambda s: s.execute(delete(User)))  # those of other measurements
        asyncio.run(sign_in_all(stack.port, place.people(2 * _ROUND), 32))
        place.garmin.configure(refuse={}, latency_ms=LATENCY * 1000)
        own = worker.give_away(_ROUND)
        worker.refresh()
        rounds: list[tuple[float, float]] = []
        meter = CpuMeter({"worker": stack.workers[0].pid, "bare": bare.pid})
        for number in range(_ROUNDS):
            seconds = dict.fromkeys(("bare", "service"), 0.0)
            for turn in ("bare", "service") if number % 2 else ("service", "bare"):
                if turn == "bare":
                    answer = bare.ask({"tokens": own, "threads": _THREADS})
                    own, seconds[turn] = answer["tokens"], answer["seconds"]
                else:
                    seconds[turn] = worker.refresh()
            rounds.append((seconds["bare"], seconds["service"]))
        each = meter.milliseconds_each(_ROUND * _ROUNDS)
    return [
        Figure(
            key="i",
            what=f"refreshes a second, one worker, {LATENCY * 1000:.0f} ms a request",
            bare=_ROUND / statistics.median(bare for bare, _ in rounds),
            service=_ROUND / statistics.median(service for _, service in rounds),
            unit="/s",
            aim=Aim(1.0, at_most=False),
            limits=f"processor time a refresh: {shares(each, 'ms')}. Bare {_THREADS} threads.",
            ratios=tuple(bare / service for bare, service in rounds),
        )
    ]


@dataclass(frozen=True)
class _Worker:
    """Has refreshes done as the API does: submitted, and waited for."""

    database: Database
    keyring: Keyring
    refreshes: Refreshes
    counters: JobCounters

    @classmethod
    def of(cls, stack: Stack) -> Self:
        url = stack.settings["FITTRACK_REDIS_URL"]
        keyring = Keyring.parse(stack.settings["FITTRACK_ENCRYPTION_KEYS"])
        redis = connect(url, timeout=5)
        submitter = Submitter(JobStore(redis, keyring, 900), JobQueue(url, 5))
        return cls(
            Database(stack.settings["FITTRACK_DATABASE_URL"]),
            keyring,
            Refreshes(submitter, DriverCooldowns(redis, use=DriverUse.REFRESH)),
            JobCounters(redis),
        )

    def give_away(self, number: int) -> list[str]:
        """Take so many connections out of the database; return their tokens."""

        def take(session: Session) -> list[str]:
            rows = session.scalars(select(GarminToken).limit(number)).all()
            opened = [TokenRepository(session, self.keyring).open(row) for row in rows]
            for row in rows:
                session.delete(row)
            return [stored.tokens.data.get_secret_value() for stored in opened]

        return self.database.run(take)

    def refresh(self) -> float:
        """Refresh all that are left; return the seconds until the last has been stored."""
        columns = select(GarminToken.id, GarminToken.generation, GarminToken.driver)
        due = self.database.run(lambda s: [DueTokens(*row) for row in s.execute(columns)])
        before, started = self._succeeded(), time.perf_counter()
        for tokens in due:
            self.refreshes.submit(tokens.id, tokens.generation, tokens.driver)
        while self._succeeded() < before + len(due):
            if time.perf_counter() > started + _PATIENCE:
                raise RuntimeError(f"not all were refreshed: {self.counters.ended()}")
            time.sleep(0.005)
        return time.perf_counter() - started

    def _succeeded(self) -> int:
        return self.counters.ended().get(("refresh", "succeeded"), 0)
