"""What workers count and time, for `/metrics`.

A worker adds up in its own memory, and brings the sums to Redis every few seconds: no job waits for
that. What a worker that is killed has not brought yet is lost.

`fittrack:measured` (hash: `<metric>|<label>|…` → how many, or milliseconds).
"""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from shared.redis.connection import Redis, redis_errors_translated

_TTL = 90 * 86_400
_SUM = "sum"
_INFINITE = "+Inf"


@dataclass(frozen=True)
class Metric:
    """`labels` may have few values each: every combination that occurs is kept."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Timing(Metric):
    """A histogram of seconds; `buckets` are their upper bounds, ascending."""

    buckets: tuple[float, ...] = ()


CODES_SENT = Metric("fittrack_codes_sent", "One-time codes that Garmin was made to send.")
REFRESHES = Metric(
    "fittrack_refreshes",
    "Refreshes of tokens, by the library they belong to and by what Garmin said.",
    ("driver", "result"),
)
GARMIN_REQUESTS = Metric(
    "fittrack_garmin_requests",
    "Requests to Garmin, by library, step, and kind of answer.",
    ("driver", "step", "result"),
)
GARMIN_SECONDS = Timing(
    "fittrack_garmin_request_duration_seconds",
    "How long Garmin's answers took, and requests that got none.",
    ("driver", "step"),
    (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
JOB_SECONDS = Timing(
    "fittrack_job_duration_seconds",
    "How long runs of jobs took, from a worker's claim to the job's end.",
    ("kind",),
    (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0),
)
COUNTERS = (CODES_SENT, REFRESHES, GARMIN_REQUESTS)
TIMINGS = (GARMIN_SECONDS, JOB_SECONDS)


class Measurements:
    """Of one worker process. Safe to use from many threads."""

    def __init__(self) -> None:
        self._sums: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, metric: Metric, *labels: str) -> None:
        with self._lock:
            self._sums[_field(metric, *labels)] += 1

    def observe(self, timing: Timing, seconds: float, *labels: str) -> None:
        bucket = next((str(bound) for bound in timing.buckets if seconds <= bound), _INFINITE)
        with self._lock:
            self._sums[_field(timing, *labels, bucket)] += 1
            self._sums[_field(timing, *labels, _SUM)] += round(seconds * 1000)

    def flush_to(self, redis: Redis) -> None:
        """Add the sums to those in Redis; keep them if it does not answer.

        Raises ServiceUnavailableError.
        """
        with self._lock:
            sums, self._sums = self._sums, Counter()
        if not sums:
            return
        try:
            _add(redis, sums)
        except BaseException:
            with self._lock:
                self._sums.update(sums)
            raise


@dataclass(frozen=True)
class Distribution:
    """A histogram's values for some labels: how many in each bucket or a smaller one."""

    labels: tuple[str, ...]
    buckets: Sequence[tuple[str, int]]
    seconds: float


class MeasuredSums:
    """The sums of all workers."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    @redis_errors_translated
    def read(self) -> "Sums":
        """Raise ServiceUnavailableError if Redis does not answer."""
        sums = cast("dict[bytes, bytes]", self._redis.hgetall(_key(self._redis)))
        return Sums({tuple(name.decode().split("|")): int(value) for name, value in sums.items()})


@dataclass(frozen=True)
class Sums:
    _values: dict[tuple[str, ...], int]

    def counted(self, metric: Metric) -> Iterator[tuple[tuple[str, ...], int]]:
        """Yield the labels and how many; zero for a metric without labels that nobody counted."""
        if not metric.labels:
            yield (), self._values.get((metric.name,), 0)
            return
        yield from self._of(metric, len(metric.labels))

    def timed(self, timing: Timing) -> Iterator[Distribution]:
        values = dict(self._of(timing, len(timing.labels) + 1))
        for labels in dict.fromkeys(labels[:-1] for labels in values):
            total, buckets = 0, []
            for bound in (*map(str, timing.buckets), _INFINITE):
                total += values.get((*labels, bound), 0)
                buckets.append((bound, total))
            yield Distribution(labels, buckets, values.get((*labels, _SUM), 0) / 1000)

    def _of(self, metric: Metric, labels: int) -> Iterator[tuple[tuple[str, ...], int]]:
        for (name, *rest), value in sorted(self._values.items()):
            if name == metric.name and len(rest) == labels:
                yield tuple(rest), value


def _key(redis: Redis) -> str:
    return redis.keyspace.key("measured")


def _field(metric: Metric, *labels: str) -> str:
    return "|".join((metric.name, *labels))


@redis_errors_translated
def _add(redis: Redis, sums: Counter[str]) -> None:
    with redis.pipeline(transaction=True) as pipe:
        for name, value in sums.items():
            pipe.hincrby(_key(redis), name, value)
        pipe.expire(_key(redis), _TTL)
        pipe.execute()
