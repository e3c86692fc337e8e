"""The threads of a worker stay on one processor, the one that others use least."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dev.processes import ROOT
from worker.processor import OneProcessor, Reading, busy_seconds, fastest

_ROUNDS = 40
"""So many that a worker moves in one of them, if it does so in each with a chance of a half."""


@dataclass
class Machine:
    """Its processors, what part of each other programs use, and workers that take all the rest."""

    others: dict[int, float]
    gone: set[int] = field(default_factory=set)
    moves: list[int] = field(default_factory=list)
    workers: list[OneProcessor] = field(default_factory=list)
    at: float = 0.0
    busy: dict[int, float] = field(default_factory=dict)
    own: list[float] = field(default_factory=list)
    limits: frozenset[int] | None = None

    def worker(self) -> OneProcessor:
        number = len(self.workers)

        def read() -> Reading:
            return Reading(self.at, dict(self.busy), self.own[number])

        def allowed() -> frozenset[int]:
            current = self.workers[number].current
            if self.limits is not None or current is None:
                return self.limits or frozenset(self.others)
            return frozenset({current})

        worker = OneProcessor(self._move, read, allowed)
        self.workers.append(worker)
        self.own.append(0.0)
        return worker

    def run(self) -> None:
        for _ in range(_ROUNDS):
            self.at += 5
            for processor, used in self.others.items():
                self._work(processor, used)
            for worker in self.workers:
                worker.follow()

    def _work(self, processor: int, used: float) -> None:
        here = [n for n, worker in enumerate(self.workers) if worker.current == processor]
        rest = 1 - used if here else 0
        self.busy[processor] = self.busy.get(processor, 0) + 5 * (used + rest)
        for number in here:
            self.own[number] += 5 * rest / len(here)

    def _move(self, processor: int) -> None:
        if processor in self.gone:
            raise OSError(22, "Invalid argument")
        self.moves.append(processor)
        self.limits = None


def test_it_stays_where_it_is_while_others_leave_it_alone() -> None:
    machine = Machine({0: 0.1, 1: 0.2, 2: 0.0})
    machine.worker()
    machine.run()
    assert len(machine.moves) == 1


def test_it_leaves_a_processor_that_others_use_for_the_one_they_use_least() -> None:
    machine = Machine({0: 0.0, 1: 0.0, 2: 0.0})
    machine.worker()
    machine.run()
    [first] = machine.moves
    best, other = {0, 1, 2} - {first}
    machine.others = {first: 0.9, best: 0.1, other: 0.3}
    machine.run()
    assert machine.moves == [first, best]


def test_workers_spread_over_the_processors() -> None:
    machine = Machine({0: 0.0, 1: 0.0})
    one, another = machine.worker(), machine.worker()
    machine.run()
    one.current = another.current = 0
    machine.run()
    assert {one.current, another.current} == {0, 1}


def test_a_processor_that_can_not_be_used_is_tried_once(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine({0: 0.9, 1: 0.0, 2: 0.1}, gone={1, 2})
    worker = machine.worker()
    machine.run()
    assert worker.current == 0
    assert len(caplog.records) == 2


def test_the_next_best_is_taken_where_the_best_can_not_be() -> None:
    machine = Machine({0: 0.0, 1: 0.0, 2: 0.0})
    worker = machine.worker()
    machine.run()
    [current] = machine.moves
    best, second = {0, 1, 2} - {current}
    machine.others, machine.gone = {current: 0.9, best: 0.0, second: 0.1}, {best}
    machine.run()
    assert worker.current == second


def test_where_nothing_can_be_chosen_nothing_is_done(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine({0: 0.0, 1: 0.0}, gone={0, 1})
    worker = machine.worker()
    machine.run()
    assert worker.current is None
    assert len(caplog.records) == 2
    unknown = OneProcessor(
        machine._move, lambda: Reading(1, {0: 1.0}, 0), lambda: frozenset({0, 7})
    )
    unknown.follow()
    assert unknown.current is None


def test_what_others_allow_meanwhile_is_kept_to() -> None:
    machine = Machine({0: 0.0, 1: 0.0, 2: 0.0})
    worker = machine.worker()
    machine.run()
    [first] = machine.moves
    machine.limits = frozenset({0, 1, 2} - {first})
    machine.run()
    assert worker.current in {0, 1, 2} - {first}
    assert worker.choices == {0, 1, 2} - {first}
    assert len(machine.moves) == 2


def test_slow_processors_are_left_alone(tmp_path: Path) -> None:
    assert fastest(frozenset({0, 1}), tmp_path) == {0, 1}
    for number, speed in enumerate((5_100_000, 5_000_000, 3_800_000)):
        folder = tmp_path / f"cpu{number}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "cpuinfo_max_freq").write_text(f"{speed}\n")
    assert fastest(frozenset({0, 1, 2}), tmp_path) == {0, 1}
    assert fastest(frozenset({2}), tmp_path) == {2}


_MOVED = """
import os, threading
from worker.processor import move_threads, processors
wait = threading.Event().wait
for _ in range(5):
    threading.Thread(target=wait, daemon=True).start()
move_threads(max(processors()))
threading.Thread(target=wait, daemon=True).start()
print({tuple(os.sched_getaffinity(int(thread))) for thread in os.listdir("/proc/self/task")})
"""

if sys.platform == "linux":

    def test_all_threads_move_also_those_that_start_later() -> None:
        found = subprocess.check_output([sys.executable, "-c", _MOVED], cwd=ROOT, text=True)
        assert found.strip() == str({(max(os.sched_getaffinity(0)),)})

    def test_linux_says_how_busy_each_processor_has_been() -> None:
        before = busy_seconds()
        assert before.keys() >= os.sched_getaffinity(0)
        ends_at = sum(os.times()[:2]) + 0.2
        while sum(os.times()[:2]) < ends_at:
            pass
        assert sum(busy_seconds().values()) >= sum(before.values()) + 0.1
