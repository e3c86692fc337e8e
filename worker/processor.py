"""Keep a worker's threads on one processor.

An interpreter runs one thread at a time. With threads on several processors, whoever waits, if
only to send a few bytes, hands the interpreter to a thread that another processor has to wake
first: a third of what a sign-in costs. On one processor the same thread mostly goes on.

It is the processor that others use least, and changes when another one is clearly better.
"""

import logging
import math
import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_log = logging.getLogger(__name__)

CHECK_EVERY = 5.0

_WORTH_MOVING = 0.25
"""How much less others have to use another processor, as a part of one."""

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_STATISTICS = Path("/proc/stat")
_THREADS = Path("/proc/self/task")

Usage = Mapping[int, float]
"""By processor, for how many seconds it has been busy since the machine was started."""


class Reading(NamedTuple):
    """How busy all processors have been at a moment, and how much of it this process was."""

    at: float
    busy: Usage
    own: float


def processors() -> frozenset[int]:
    """Return the processors that this process may use; none where it can't choose."""
    if not hasattr(os, "sched_setaffinity") or not _STATISTICS.exists():
        return frozenset()
    return frozenset(os.sched_getaffinity(0))


def busy_seconds() -> Usage:
    """Read what Linux counts: everything but idle time and waiting for disks (proc_stat(5))."""
    usage: dict[int, float] = {}
    for line in _STATISTICS.read_text().splitlines():
        name, *counted = line.split()
        if name.startswith("cpu") and name != "cpu":
            user, nice, system, _idle, _waiting, *interrupts = (int(ticks) for ticks in counted[:8])
            usage[int(name[3:])] = sum((user, nice, system, *interrupts)) / _TICKS_A_SECOND
    return usage


def move_threads(processor: int) -> None:
    """Have every thread of this process run on one processor, and those that they will start.

    Raises OSError if the processor can't be used.
    """
    moved: set[int] = set()
    while left := {int(thread.name) for thread in _THREADS.iterdir()} - moved:
        for thread in left:
            with suppress(ProcessLookupError):  # it has ended
                os.sched_setaffinity(thread, {processor})
        moved |= left


def _read() -> Reading:
    return Reading(time.monotonic(), busy_seconds(), time.process_time())


@dataclass
class OneProcessor:
    allowed: frozenset[int]
    move: Callable[[int], None] = move_threads
    read: Callable[[], Reading] = _read
    current: int | None = None
    _before: Reading | None = field(default=None, repr=False)

    def follow(self) -> None:
        """Move to the processor that is best now; the first call takes any."""
        now, before = self.read(), self._before
        self._before = now
        if self.current is None or before is None:
            self._move_to(secrets.choice(sorted(self.allowed)))
            return
        others = self._used_by_others(self.current, before, now)
        best = min(others, key=lambda processor: others[processor])
        # Workers that share a processor all see the same better one: not all of them take it.
        if others[self.current] - others[best] >= _WORTH_MOVING and secrets.randbelow(2):
            self._move_to(best)

    def _used_by_others(self, current: int, before: Reading, now: Reading) -> dict[int, float]:
        """Return what part of the time other processes have used each processor."""
        seconds = now.at - before.at
        used = {
            processor: (now.busy.get(processor, math.inf) - before.busy.get(processor, 0)) / seconds
            for processor in self.allowed
        }
        used[current] -= (now.own - before.own) / seconds
        return used

    def _move_to(self, processor: int) -> None:
        try:
            self.move(processor)
        except OSError as error:  # it was taken away meanwhile
            _log.warning("this process can't use processor %d: %s", processor, error.strerror)
        else:
            self.current = processor
