"""What Prometheus reads: this process's requests, and the whole service's jobs."""

from collections.abc import Callable, Iterable, Iterator

from shared.accounts.states import ConnectionState, Method
from shared.broker.connection_counts import ConnectionCounts
from shared.errors import RefusalScope, ServiceUnavailableError
from shared.imports import unused
from shared.jobs.counters import JobCounters
from shared.jobs.kinds import JOB_QUEUES
from shared.jobs.messages import MessageFault
from shared.jobs.set_aside import SetAside
from shared.redis.clock import ClockReports
from shared.redis.driver_states import DriverStates
from shared.redis.measurements import COUNTERS, TIMINGS, MeasuredSums
from shared.redis.unknown_answers import UnknownAnswers
from shared.redis.webhook_figures import WebhookFigures
from shared.webhooks.results import Result

# The library can also serve, and push, what is counted.
with unused("http.server", "urllib.request", "wsgiref.simple_server"):
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
    from prometheus_client.exposition import generate_latest
    from prometheus_client.registry import Collector


class Metrics:
    """One for each process: counts its requests, and reads the rest from Redis on each scrape."""

    def __init__(
        self,
        counters: JobCounters,
        set_aside: SetAside,
        driver_states: DriverStates,
        unknown_answers: UnknownAnswers,
        drivers: tuple[str, ...],
        clocks: ClockReports,
        measured: MeasuredSums,
        connections: ConnectionCounts,
        webhooks: WebhookFigures,
    ) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "fittrack_http_requests",
            "Requests this process answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "fittrack_http_request_duration_seconds",
            "How long answers took, long polls included.",
            ["route"],
            registry=self._registry,
        )
        self._tokens = Counter(
            "fittrack_token_requests",
            "Requests for access tokens that this process answered, by how.",
            ["result"],
            registry=self._registry,
        )
        self._registry.register(
            _ServiceCollector(
                counters,
                set_aside,
                driver_states,
                unknown_answers,
                drivers,
                clocks,
                measured,
                connections,
                webhooks,
            )
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_token(self, result: str) -> None:
        """`result`: one of `api/routes/tokens.py`, or the code of the error that was answered."""
        self._tokens.labels(result).inc()

    def render(self) -> tuple[bytes, str]:
        """The text and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class _ServiceCollector(Collector):
    def __init__(
        self,
        counters: JobCounters,
        set_aside: SetAside,
        driver_states: DriverStates,
        unknown_answers: UnknownAnswers,
        drivers: tuple[str, ...],
        clocks: ClockReports,
        measured: MeasuredSums,
        connections: ConnectionCounts,
        webhooks: WebhookFigures,
    ) -> None:
        self._counters = counters
        self._set_aside = set_aside
        self._driver_states = driver_states
        self._unknown_answers = unknown_answers
        self._drivers = drivers
        self._clocks = clocks
        self._measured = measured
        self._connections = connections
        self._webhooks = webhooks
        self._reads = (
            self._jobs,
            self._queue_lengths,
            self._messages_set_aside,
            self._drivers_now,
            self._refusals,
            self._unknown,
            self._clock_offsets,
            self._worker_figures,
            self._connections_now,
            self._webhooks_tried,
            self._webhooks_waiting,
        )

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("fittrack_redis_up", "1 if Redis answered just now.")
        from_redis = _answered(*self._reads)
        up.add_metric([], float(bool(from_redis)))
        yield up
        yield from from_redis

    def describe(self) -> Iterator[Metric]:
        """Nothing: registering must not ask Redis."""
        return iter(())

    def _jobs(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "fittrack_jobs_ended", "Jobs by how they ended.", labels=["kind", "result"]
        )
        for (kind, result), count in self._counters.ended().items():
            family.add_metric([kind, result], count)
        return (family,)

    def _queue_lengths(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "fittrack_queue_length", "Jobs that wait for a worker.", labels=["queue"]
        )
        for queue, length in self._counters.queued(JOB_QUEUES).items():
            family.add_metric([queue], length)
        return (family,)

    def _messages_set_aside(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "fittrack_messages_set_aside",
            "What was in a queue and was no job's message.",
            labels=["fault"],
        )
        counts = self._set_aside.counts()
        for fault in MessageFault:
            family.add_metric([fault], counts.get(fault, 0))
        return (family,)

    def _drivers_now(self) -> Iterable[Metric]:
        rests = GaugeMetricFamily(
            "fittrack_driver_rest_seconds",
            "How long a refused Garmin library still rests, for everybody.",
            labels=["driver"],
        )
        accounts = GaugeMetricFamily(
            "fittrack_driver_accounts_waiting",
            "How many accounts a Garmin library is not used for at the moment.",
            labels=["driver"],
        )
        for driver in self._drivers:
            state = self._driver_states.of(driver)
            rests.add_metric([driver], state.rest_seconds)
            accounts.add_metric([driver], state.accounts)
        return rests, accounts

    def _refusals(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "fittrack_garmin_refusals",
            "How often Garmin refused a library: an account, or recognisably this client.",
            labels=["driver", "scope"],
        )
        counts = self._driver_states.refusals()
        for driver in self._drivers:
            for scope in RefusalScope:
                family.add_metric([driver, scope], counts.get((driver, scope), 0))
        return (family,)

    def _clock_offsets(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "fittrack_clock_offset_seconds",
            "How far a process's clock is ahead of that of Redis or of the database.",
            labels=["process", "server"],
        )
        for labels, ahead in self._clocks.newest().items():
            family.add_metric(labels, ahead)
        return (family,)

    def _webhooks_tried(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "fittrack_webhook_deliveries",
            "Tries to deliver a webhook, by how they ended.",
            labels=["result"],
        )
        counts = self._webhooks.counts()
        for result in Result:
            family.add_metric([result], counts.get(result, 0))
        return (family,)

    def _webhooks_waiting(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "fittrack_webhook_oldest_pending_seconds",
            "How long the oldest event waits that an app has not heard of; 0: none waits.",
        )
        seconds = self._webhooks.oldest_seconds()
        if seconds is not None:
            family.add_metric([], seconds)
        return (family,)

    def _unknown(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "fittrack_garmin_answers_unknown",
            "Garmin's answers that nobody knows, by library and step.",
            labels=["driver", "step"],
        )
        for (driver, step), count in self._unknown_answers.counts().items():
            family.add_metric([driver, step], count)
        return (family,)

    def _worker_figures(self) -> Iterator[Metric]:
        sums = self._measured.read()
        for metric in COUNTERS:
            counts = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, count in sums.counted(metric):
                counts.add_metric(labels, count)
            yield counts
        for timing in TIMINGS:
            histogram = HistogramMetricFamily(timing.name, timing.help, labels=timing.labels)
            for one in sums.timed(timing):
                histogram.add_metric(one.labels, one.buckets, one.seconds)
            yield histogram

    def _connections_now(self) -> Iterator[Metric]:
        """Nothing if no worker has counted for a while."""
        counted = self._connections.read()
        if counted is None:
            return
        connections = GaugeMetricFamily(
            "fittrack_connections",
            "Stored Garmin tokens by state and by how they were connected, counted once a minute.",
            labels=["state", "method"],
        )
        for state in ConnectionState:
            for method in Method:
                count = counted.by_state.get((state, method), 0)
                connections.add_metric([state, method], count)
        yield connections
        oldest = GaugeMetricFamily(
            "fittrack_refresh_oldest_due_seconds",
            "For how long the refresh is due that waits longest, found once a minute.",
        )
        oldest.add_metric([], counted.oldest_due)
        yield oldest


def _answered(*reads: Callable[[], Iterable[Metric]]) -> list[Metric]:
    """All of them, or none if Redis does not answer."""
    try:
        return [metric for read in reads for metric in read()]
    except ServiceUnavailableError:
        return []
