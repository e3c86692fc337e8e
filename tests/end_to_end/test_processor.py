"""A worker keeps its threads on one processor, unless it is told not to."""

import os
import sys
from contextlib import suppress

import psutil

from dev.stack import Stack
from tests.end_to_end.connected import eventually

if sys.platform == "linux":

    def test_a_worker_runs_on_one_processor_unless_it_is_told_not_to(own_stack: Stack) -> None:
        processors = os.sched_getaffinity(0)
        one = own_stack.begin_worker()
        own_stack.settings["FITTRACK_WORKER_ONE_PROCESSOR"] = "false"
        several = own_stack.begin_worker()
        for worker in (one, several):
            worker.wait_ready()

        def used() -> set[int]:
            """By any thread of the one."""
            found: set[int] = set()
            for thread in psutil.Process(one.pid).threads():
                with suppress(ProcessLookupError):  # it has ended
                    found |= os.sched_getaffinity(thread.id)
            return found

        eventually(lambda: len(used()) == 1)
        assert set(psutil.Process(several.pid).cpu_affinity()) == processors
