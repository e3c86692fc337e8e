"""Keep a worker's threads on one processor.

CPython runs one thread at a time. A thread that waits, if only to send a few bytes, lets another
one run. Where that one is on another processor, it has to be woken first, which takes longer than
most of these waits: a third of what a sign-in costs. On one processor, the same thread mostly goes
on.

It is the processor that other programs use least. Linux alone lets a process choose.
"""

import logging
import os
import secrets
import sys
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

_AS_FAST = 0.9
"""Of the fastest one's speed: processors of one kind may differ by a little."""

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_STATISTICS = Path("/proc/stat")
_THREADS = Path("/proc/self/task")
_PROCESSORS = Path("/sys/devices/system/cpu")
_SPEEDS = ("cpu_capacity", "cpufreq/cpuinfo_max_freq")

Usage = Mapping[int, float]
"""By processor, for how many seconds it has been busy since the machine was started."""


class Reading(NamedTuple):
    """How busy all processors have been at a moment, and how much of it this process was."""

    at: float
    busy: Usage
    own: float


def processors() -> frozenset[int]:
    """Return the processors that this process may use; none where it can't choose."""
    if sys.platform == "linux":
        return frozenset(os.sched_getaffinity(os.getpid()))  # the main thread's
    return frozenset()


def fastest(numbers: frozenset[int], folder: Path = _PROCESSORS) -> frozenset[int]:
    """Return those of the fastest kind. Many machines have processors of two kinds."""
    speeds = {number: _speed(folder / f"cpu{number}") for number in numbers}
    least = max(speeds.values(), default=0) * _AS_FAST
    return frozenset(number for number, speed in speeds.items() if speed >= least)


def _speed(processor: Path) -> int:
    """Return what Linux says of a processor, to be compared with others only; 0: nothing."""
    for name in _SPEEDS:
        with suppress(OSError, ValueError):
            return int((processor / name).read_text())
    return 0


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
    if sys.platform == "linux":
        moved: set[int] = set()
        while left := {int(thread.name) for thread in _THREADS.iterdir()} - moved:
            for thread in left:
                with suppress(ProcessLookupError):  # it has ended
                    os.sched_setaffinity(thread, {processor})
            moved |= left


def _read() -> Reading:
    return Reading(time.monotonic(), busy_seconds(), time.process_time())


def _used_by_others(
    choices: frozenset[int], current: int, before: Reading, now: Reading
) -> dict[int, float]:
    """Return what part of the time other processes have used each processor."""
    seconds = now.at - before.at
    used = {
        processor: (now.busy[processor] - before.busy.get(processor, 0.0)) / seconds
        for processor in choices
    }
    used[current] -= (now.own - before.own) / seconds
    return used


@dataclass
class OneProcessor:
    """`allowed` says where the system lets this process run: `choices`, until one is taken."""

    move: Callable[[int], None] = move_threads
    read: Callable[[], Reading] = _read
    allowed: Callable[[], frozenset[int]] = lambda: fastest(processors())
    choices: frozenset[int] = frozenset()
    current: int | None = None
    _before: Reading | None = field(default=None, repr=False)
    _unusable: set[int] = field(default_factory=set, repr=False)

    def follow(self) -> None:
        """Move to the processor that is best now; the first call takes any."""
        allowed = self.allowed()
        if self.current is not None and allowed != {self.current}:
            self.current = None  # an operator or a container's limits have changed it
        if self.current is None:
            self.choices = allowed
        usable = self.choices - self._unusable
        now, before = self.read(), self._before
        self._before = now
        if not usable or not usable <= now.busy.keys():
            return
        if self.current is None or before is None:
            self._move_to(secrets.choice(sorted(usable)))
            return
        others = _used_by_others(usable, self.current, before, now)
        best = min(others, key=lambda processor: others[processor])
        # Workers that share a processor all see the same better one: not all of them take it.
        if others[self.current] - others[best] >= _WORTH_MOVING and secrets.randbelow(2):
            self._move_to(best)

    def _move_to(self, processor: int) -> None:
        try:
            self.move(processor)
        except OSError as error:
            _log.warning("threads can't be moved to processor %d: %s", processor, error.strerror)
            self._unusable.add(processor)
        else:
            _log.info("all threads run on processor %d", processor)
            self.current = processor
