"""Ports of throwaway servers: no two programs are given the same one."""

import subprocess
import sys
from itertools import chain, count

import pytest

from dev.processes import ROOT, free_port


def test_a_port_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    draws = chain([port - 12_000], count())
    monkeypatch.setattr("dev.processes.secrets.randbelow", lambda _: next(draws))
    assert free_port() != port


def test_a_port_of_another_process_is_not_given() -> None:
    port = free_port()
    reserve = "import sys; from dev import processes; print(processes._reserve(int(sys.argv[1])))"
    command = [sys.executable, "-c", reserve]
    answers = [
        subprocess.check_output([*command, str(number)], cwd=ROOT, text=True).strip()
        for number in (port, 11_999)
    ]
    assert answers == ["False", "True"]
