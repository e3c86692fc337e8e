"""Whose processor time a measurement took."""

import os
from collections.abc import Mapping
from contextlib import suppress

import psutil


class CpuMeter:
    """Counts from when it was made. `pids`: names to processes; their children count as theirs."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._before, self._machine_before = self._read(), _machine()

    def seconds(self) -> dict[str, float]:
        """Processor seconds since then, by name."""
        now = self._read()
        return {name: now[name] - self._before[name] for name in now}

    def milliseconds_each(self, number: int) -> dict[str, float]:
        """The same for one of `number` equal pieces of work."""
        return {k: round(v * 1000 / number, 1) for k, v in self.seconds().items()}

    def taken_by_others(self) -> float:
        """The share of all cores that went to what is not measured here: 0 on a quiet machine."""
        busy, total = (
            now - before for now, before in zip(_machine(), self._machine_before, strict=True)
        )
        return max(0.0, busy - sum(self.seconds().values())) / total if total else 0.0

    def _read(self) -> dict[str, float]:
        return {name: _used(process) for name, process in self._processes.items()}


def _machine() -> tuple[float, float]:
    """Seconds of all cores: busy, and all."""
    times = psutil.cpu_times()._asdict()
    # The kernel counts what a guest used among `user` and `nice` too.
    total = sum(value for name, value in times.items() if not name.startswith("guest"))
    return total - times["idle"] - times.get("iowait", 0.0), total


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
