"""Who may hold how many of a worker's threads.

An account for which Garmin never answers holds a thread for seconds. Some threads are kept for
urgent jobs, and nobody's jobs hold more than a share of the threads that others leave to them: so
there is room for who comes next, and for a code at any time. Each worker has its own shares.
"""

import ipaddress
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from shared.errors import FitTrackError
from shared.jobs.kinds import Kind
from shared.origin import Origin
from shared.timings import PRODUCTION, Timings


class ShareUsedUpError(FitTrackError):
    """Other jobs of the same app or address hold all the threads that they may."""

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = retry_after


class NoThreadFreeError(FitTrackError):
    """All threads but those that are kept for urgent jobs are in use."""


_Holder = tuple[bool, str]


def kept_for_urgent(threads: int) -> int:
    """Return how many threads only urgent jobs get: an eighth, one to eight; of one, none."""
    return min(max(threads // 8, 1), 8, threads - 1)


@dataclass(frozen=True)
class ThreadShares:
    """`per_address` and `per_app` are percentages of the threads that others do not hold.

    A job with an app's key counts for the app alone: its servers submit for all its users. Those
    that the service itself submits, refreshes, count together as one app's. Urgent
    jobs and the others count apart, so that nobody's sign-ins keep their own code away.
    """

    threads: int
    per_address: int
    per_app: int
    timings: Timings = PRODUCTION
    _held: Counter[_Holder] = field(default_factory=Counter)
    _turns: dict[_Holder, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def hold(self, kind: Kind, origin: Origin) -> Iterator[None]:
        """Count the job while the block runs. Raises ShareUsedUpError and NoThreadFreeError."""
        holder = (kind.urgent, _party(origin))
        is_apps = origin.client_id is not None or origin.address is None
        percent = self.per_app if is_apps else self.per_address
        with self._lock:
            self._check(holder, percent)
            self._held[holder] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held[holder] -= 1
                if not self._held[holder]:
                    del self._held[holder]

    def _check(self, holder: _Holder, percent: int) -> None:
        urgent, _ = holder
        usable = self.threads if urgent else self.threads - kept_for_urgent(self.threads)
        free, held = usable - self._held.total(), self._held[holder]
        if free <= 0:
            raise NoThreadFreeError
        if held * 100 >= percent * (held + free):
            raise ShareUsedUpError(self._next_turn(holder))

    def _next_turn(self, holder: _Holder) -> float:
        """Return in how many seconds the job may try again: its holder's come one by one.

        However many wait, they don't keep the worker busy.
        """
        now, timings = time.monotonic(), self.timings
        for other in [other for other, turn in self._turns.items() if turn < now]:
            del self._turns[other]
        after = self._turns.get(holder, now) - now + timings.share_delay
        delay = min(after, timings.share_longest_delay)
        self._turns[holder] = now + delay
        return delay


def _party(origin: Origin) -> str:
    """Return whose the job is: an app's, an address's, or an IPv6 customer's (a /64)."""
    if origin.client_id is not None:
        return str(origin.client_id)
    address = origin.address or ""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network(f"{address}/64", strict=False))
    except ValueError:  # not written by us
        return address
