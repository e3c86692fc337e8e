"""A forked program is a process like any other."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from dev.forked import ForkedProgram

SCRIPT = """
import os, random, sys, threading, time
print(sys.argv[1:], dict(os.environ), os.getpid() == os.getpgrp(), threading.active_count())
print(random.random(), file=sys.stderr, flush=True)
sys.stdout.flush()
time.sleep(float(sys.argv[1]))
sys.exit(7)
"""


def start(folder: Path, seconds: int, log: str = "a.log") -> ForkedProgram:
    script = folder / "script.py"
    script.write_text(SCRIPT)
    return ForkedProgram([str(script), str(seconds)], {"ONLY": "this"}, folder / log)


def test_it_has_its_own_arguments_environment_group_log_and_exit_code(tmp_path: Path) -> None:
    assert start(tmp_path, 0).wait(60) == 7
    said = (tmp_path / "a.log").read_text()
    assert "['0'] {'ONLY': 'this'} True 1" in said


def test_two_draw_different_random_numbers(tmp_path: Path) -> None:
    drawn = set()
    for log in ("a.log", "b.log"):
        start(tmp_path, 0, log).wait(60)
        drawn.add((tmp_path / log).read_text().splitlines()[-1])
    assert len(drawn) == 2


def test_sigkill_kills_it_at_once(tmp_path: Path) -> None:
    program = start(tmp_path, 600)
    with pytest.raises(subprocess.TimeoutExpired):
        program.wait(0.1)
    os.killpg(program.pid, signal.SIGKILL)
    assert program.wait(60) == -signal.SIGKILL
    assert program.poll() == -signal.SIGKILL
