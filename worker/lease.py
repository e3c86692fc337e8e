"""The right to go on with a job: while its lease is ours, and until its deadline.

One thread a process renews all leases. A lease is the permit that drivers check before each
request to Garmin: a worker that has lost its job, or can't know, sends nothing more.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from shared.errors import JobLostError, ServiceUnavailableError, TimedOutError
from shared.jobs.claims import Claim, JobClaims
from shared.logs.locations import where
from shared.timings import PRODUCTION, Timings

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Lease:
    claim: Claim
    on_timeout: Callable[["Lease"], None]
    deadline: float | None
    """When the job must have ended, on the monotonic clock; None once only storing is left."""
    confirmed_until: float
    timings: Timings = PRODUCTION
    lost: bool = False
    timed_out: bool = False
    context: Context = field(default_factory=copy_context)
    """The job's own, so that the thread's log lines have its ids."""
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def check(self) -> float | None:
        """Return the seconds left, or None without a deadline.

        Waits while the lease can't be confirmed. Raises TimedOutError and JobLostError.
        """
        with self._changed:
            while True:
                if self.lost:
                    raise JobLostError
                now = time.monotonic()
                if self._overdue(now):
                    raise TimedOutError
                left = None if self.deadline is None else self.deadline - now
                if now < self.confirmed_until:
                    return left
                renewal = self.timings.lease_renewal
                self._changed.wait(min(renewal, left or renewal))

    def drop_deadline(self) -> None:
        """Go on for as long as it takes: what is left waits for our own database.

        Raises TimedOutError if the deadline has passed: the job is ended by it, whatever it has.
        """
        with self._changed:
            if self._overdue(time.monotonic()):
                raise TimedOutError
            self.deadline = None

    def confirm(self, sent_at: float) -> None:
        with self._changed:
            self.confirmed_until = sent_at + self.timings.lease
            self._changed.notify_all()

    def lose(self) -> None:
        with self._changed:
            self.lost = True
            self._changed.notify_all()

    def overdue(self) -> bool:
        """Whether the deadline has passed; nothing more is sent to Garmin from then on."""
        with self._changed:
            return self._overdue(time.monotonic())

    def _overdue(self, now: float) -> bool:
        if self.deadline is not None and now >= self.deadline:
            self.timed_out = True
        return self.timed_out


class LeaseKeeper:
    """Renews the leases of all jobs that this process runs, and ends those past their deadline."""

    def __init__(self, claims: JobClaims, timings: Timings = PRODUCTION) -> None:
        self._claims = claims
        self._timings = timings
        self._leases: set[Lease] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def hold(
        self, claim: Claim, seconds: float, on_timeout: Callable[["Lease"], None]
    ) -> Iterator[Lease]:
        """Renew the claim while the block runs; call `on_timeout` after `seconds`, beside it."""
        deadline, confirmed_until = time.monotonic() + seconds, claim.sent_at + self._timings.lease
        lease = Lease(claim, on_timeout, deadline, confirmed_until, self._timings)
        with self._lock:
            self._leases.add(lease)
            self._start()
        try:
            yield lease
        finally:
            with self._lock:
                self._leases.discard(lease)

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                leases = list(self._leases)
            try:
                for lease in leases:
                    lease.context.run(self._tend, lease)
                time.sleep(self._timings.lease_renewal)
            except ServiceUnavailableError:
                time.sleep(self._timings.lease_renewal_retry)

    def _tend(self, lease: Lease) -> None:
        try:
            if lease.overdue():
                lease.on_timeout(lease)
            sent_at = time.monotonic()
            if self._claims.renew(lease.claim):
                lease.confirm(sent_at)
            else:
                lease.lose()
        except JobLostError:
            lease.lose()
        except ServiceUnavailableError:
            raise
        except Exception as error:  # of one job: the others' leases go on being renewed
            _log.error("job %s: bug: %s", lease.claim.job_id, where(error))  # noqa: TRY400, RUF100
            lease.lose()
