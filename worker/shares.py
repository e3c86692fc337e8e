"""Who may hold how many of a worker's threads.

An account for which Garmin never answers holds a thread for seconds. Some threads are kept for
urgent jobs, and nobody's jobs hold more than a share of the threads that others leave to them: so
there is room for who comes next, and for a code at any time. Each worker has its own shares.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from shared.errors import FitTrackError
from shared.jobs.kinds import Kind
from shared.origin import Origin, network
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


@dataclass
class ThreadShares:
    """`per_address` and `per_app` are percentages of the threads that others do not hold.

    A job with an app's key counts for the app alone: its servers submit for all its users. Those
    that the service itself submits, refreshes, count together as one app's. Urgent jobs and the
    others count apart, so that nobody's sign-ins keep their own code away.
    """

    threads: int
    per_address: int
    per_app: int
    timings: Timings = PRODUCTION
    _used: int = 0
    _held: Counter[_Holder] = field(default_factory=Counter)
    _turns: dict[_Holder, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def hold(self, kind: Kind, origin: Origin) -> Iterator[None]:
        """Count the job while the block runs. Raises ShareUsedUpError and NoThreadFreeError."""
        usable = self.threads - (0 if kind.urgent else kept_for_urgent(self.threads))
        shares = {(kind.urgent, party): percent for party, percent in self._parties(origin)}
        with self._lock:
            free = usable - self._used
            if free <= 0:
                raise NoThreadFreeError
            for holder, percent in shares.items():
                held = self._held[holder]
                if held * 100 >= percent * (held + free):
                    raise ShareUsedUpError(self._next_turn(holder))
            self._count(shares, 1)
        try:
            yield
        finally:
            with self._lock:
                self._count(shares, -1)

    def _count(self, holders: Iterable[_Holder], jobs: int) -> None:
        self._used += jobs
        for holder in holders:
            self._held[holder] += jobs
        self._held = +self._held  # who holds nothing is forgotten

    def _next_turn(self, holder: _Holder) -> float:
        """Return in how many seconds the job may try again: its holder's come one by one.

        However many wait, they don't keep the worker busy.
        """
        now, timings = time.monotonic(), self.timings
        self._turns = {other: turn for other, turn in self._turns.items() if turn >= now}
        after = self._turns.get(holder, now) - now + timings.share_delay
        delay = min(after, timings.share_longest_delay)
        self._turns[holder] = now + delay
        return delay

    def _parties(self, origin: Origin) -> Iterator[tuple[str, int]]:
        """Yield whose share the job needs a part of, and how large each is.

        IPv6 customers have a /64, or up to a /48, of which there may be more behind one.
        """
        address = origin.address or ""
        if origin.client_id is not None:
            yield str(origin.client_id), self.per_app
        elif ":" in address:
            yield network(address, 64), self.per_address
            yield network(address, 48), min(2 * self.per_address, 100)
        elif not address:
            yield "", self.per_app
        else:
            yield address, self.per_address
