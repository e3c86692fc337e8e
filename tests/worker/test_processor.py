"""The threads of a worker stay on one processor, the one that others use least."""

import os
import subprocess
import sys
from dataclasses import dataclass, field

from dev.processes import ROOT
from worker.processor import OneProcessor, Reading, busy_seconds

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

    def worker(self) -> OneProcessor:
        number = len(self.workers)

        def read() -> Reading:
            return Reading(self.at, dict(self.busy), self.own[number])

        worker = OneProcessor(frozenset(self.others), self._move, read)
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
    assert {one.current, another.current} == {0, 1}


def test_a_processor_that_was_taken_away_is_not_moved_to() -> None:
    machine = Machine({0: 0.0, 1: 0.0}, gone={0, 1})
    worker = machine.worker()
    machine.run()
    assert machine.moves == []
    machine.gone = {0}
    machine.run()
    machine.others = {0: 0.0, 1: 0.9}
    machine.run()
    assert worker.current == 1
    assert machine.moves == [1]


def test_all_threads_move_also_those_that_start_later() -> None:
    code = """
import os, threading
from worker.processor import move_threads, processors
wait = threading.Event().wait
for _ in range(5):
    threading.Thread(target=wait, daemon=True).start()
move_threads(max(processors()))
threading.Thread(target=wait, daemon=True).start()
print({tuple(os.sched_getaffinity(int(thread))) for thread in os.listdir("/proc/self/task")})
"""
    found = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert found.strip() == str({(max(os.sched_getaffinity(0)),)})


def test_linux_says_how_busy_each_processor_has_been() -> None:
    before = busy_seconds()
    assert before.keys() >= os.sched_getaffinity(0)
    ends_at = sum(os.times()[:2]) + 0.2
    while sum(os.times()[:2]) < ends_at:
        pass
    assert sum(busy_seconds().values()) >= sum(before.values()) + 0.1
