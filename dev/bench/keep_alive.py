"""(j) finding the connections that are due among many, (k) a month of keeping them alive."""

import heapq
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import create_engine, make_url, text

from dev.bench.figures import Aim, Figure
from dev.bench.place import Place
from dev.stack import new_key
from shared.accounts.refreshes import RefreshLog
from shared.accounts.states import refresh_due_at
from shared.broker.keep_alive import WINDOW, share
from shared.crypto.keyring import Keyring
from shared.database.engine import Database

_FEW, _MANY = 10_000, 1_000_000
_DUE = 50
_CLAIMED = 5
_ROUNDS = 8
_TIMES = 15
_DRIVER = "garminconnect"

_FILL = """
    INSERT INTO garmin_tokens
        (id, user_id, access, method, driver, key_id, ciphertext, access_expires_at,
         refresh_expires_at, generation, refresh_due_at, state, state_since, created_at, updated_at)
    SELECT id, id, 'read_write', 'password', 'garminconnect', 'k',
           '\\x00', now(), now() + interval '30 days', 1,
           now() + (number - :due) * interval '1 minute', 'active', now(), now(), now()
    FROM (
        SELECT number, lpad(to_hex(number), 32, '0')::uuid AS id
        FROM generate_series(1, CAST(:connections AS int)) AS number
    ) AS numbered
"""
_RELEASE = """
    UPDATE garmin_tokens SET refresh_claimed_until = NULL
    WHERE state = 'active' AND refresh_due_at <= now()
"""


def what_is_due(place: Place) -> list[Figure]:
    """What a worker asks the database every ten seconds: how many are due, and some of them."""
    keyring = Keyring.parse(new_key("bench"))
    few = Database(_filled(place, "few", _FEW))
    many = Database(_filled(place, "many", _MANY))
    rounds = [[_milliseconds(which, keyring) for which in (few, many)] for _ in range(_ROUNDS)]
    few.close()
    many.close()
    return [
        Figure(
            key="j",
            what=f"finding what is due among {_MANY:,} connections, over among {_FEW:,}",
            bare=statistics.median(row[0] for row in rounds),
            service=statistics.median(row[1] for row in rounds),
            unit="ms",
            aim=Aim(1.5, at_most=True),
            limits="round trips: an index on state and due time finds the rows.",
            ratios=tuple(many / few for few, many in rounds),
        )
    ]


def _filled(place: Place, name: str, connections: int) -> str:
    """Create a database with so many connections; return its URL."""
    _run(place.postgres.url, f"CREATE DATABASE {name}")
    url = make_url(place.postgres.url).set(database=name).render_as_string(hide_password=False)
    with place.stack() as stack:
        stack.settings["FITTRACK_DATABASE_URL"] = url
        stack.migrate()
    _run(
        url,
        "SET session_replication_role = replica",  # the connections have no users
        _FILL,
        "VACUUM ANALYZE garmin_tokens",
        due=_DUE,
        connections=connections,
    )
    return url


def _run(url: str, *statements: str, **values: int) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement), values)
    engine.dispose()


def _milliseconds(database: Database, keyring: Keyring) -> float:
    """The median of counting what is due and claiming some, each time from the same state."""
    took = []
    for _ in range(_TIMES):
        started = time.perf_counter()
        count = database.run(lambda s: RefreshLog(s, keyring).count_due(_CLAIMED))
        claimed = database.run(lambda s: RefreshLog(s, keyring).claim_due(_CLAIMED))
        took.append((time.perf_counter() - started) * 1000)
        if (count, len(claimed)) != (_CLAIMED, _CLAIMED):
            raise RuntimeError(f"{count} due, {len(claimed)} claimed")
        database.run(lambda s: s.execute(text(_RELEASE)))
    return statistics.median(took)


_CONNECTIONS = 100_000
_DAYS = 30
_RATE = 30
_LIFETIME = timedelta(days=30)
_AT_LEAST_EVERY = 7


@dataclass(frozen=True)
class _Month:
    refreshed: int
    lost: int
    longest_wait: timedelta


def month_of_keep_alive(_: Place) -> list[Figure]:
    """With a clock that is moved, and what decides when a refresh is due; no server takes part."""
    started = time.perf_counter()
    month = _simulated(datetime.now(UTC))
    fewest = _CONNECTIONS * (_DAYS // _AT_LEAST_EVERY)
    limits = (
        f"{_RATE} a minute for all of them, which began at the same moment: a refresh waited for "
        f"{month.longest_wait.total_seconds() / 3600:.0f} h at the most. {month.lost} were lost. "
        f"Simulated in {time.perf_counter() - started:.0f} s."
    )
    if month.lost:
        raise RuntimeError(limits)
    return [
        Figure(
            key="k",
            what=f"refreshes of {_CONNECTIONS:,} connections in {_DAYS} days",
            bare=fewest,
            service=month.refreshed,
            unit="",
            aim=Aim(1.3, at_most=True),
            limits=limits,
            details={"lost": month.lost},
        )
    ]


def _simulated(begin: datetime) -> _Month:
    """Keep all alive that signed in at `begin`: those first that would die first."""
    later = [
        (refresh_due_at(_DRIVER, begin + _LIFETIME, begin), begin + _LIFETIME)
        for _ in range(_CONNECTIONS)
    ]
    heapq.heapify(later)
    due: list[tuple[datetime, datetime]] = []
    now, refreshed, lost, longest = begin, 0, 0, timedelta()
    while now < begin + timedelta(days=_DAYS):
        while later and later[0][0] <= now:
            due_at, expires_at = heapq.heappop(later)
            heapq.heappush(due, (expires_at, due_at))
        for _ in range(min(share(_RATE), len(due))):
            expires_at, due_at = heapq.heappop(due)
            if expires_at <= now:
                lost += 1
                continue
            refreshed, longest = refreshed + 1, max(longest, now - due_at)
            heapq.heappush(later, (refresh_due_at(_DRIVER, now + _LIFETIME, now), now + _LIFETIME))
        now += timedelta(seconds=WINDOW)
    return _Month(refreshed, lost, longest)
