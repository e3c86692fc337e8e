"""Whose processor time a measurement took."""

import os
from collections.abc import Mapping
from contextlib import suppress

import psutil


class CpuMeter:
    """Counts from when it was made. `pids`: names to processes; their children count as theirs."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._before = self._read()

    def seconds(self) -> dict[str, float]:
        """Processor seconds since then, by name."""
        now = self._read()
        return {name: now[name] - self._before[name] for name in now}

    def milliseconds_each(self, number: int) -> dict[str, float]:
        """The same for one of `number` equal pieces of work."""
        return {k: round(v * 1000 / number, 1) for k, v in self.seconds().items()}

    def _read(self) -> dict[str, float]:
        return {name: _used(process) for name, process in self._processes.items()}


def _used(process: psutil.Process) -> float:
    total = 0.0
    # All others are children of this process.
    children = [] if process.pid == os.getpid() else process.children(recursive=True)
    for one in (process, *children):
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
    return total


def shares(parts: Mapping[str, float], unit: str) -> str:
    """`worker 21 ms, API 6 ms`, the largest first."""
    largest_first = sorted(parts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {value:.3g} {unit}" for name, value in largest_first)
