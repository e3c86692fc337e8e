"""README's examples, run as they stand there."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dev.processes import ROOT, clean_environment
from dev.simulator import Simulator
from dev.simulator.accounts import PASSWORD
from dev.stack import BIN, Stack

README = (ROOT / "README.md").read_text(encoding="utf-8")
_TIMEOUT = 120.0

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(params=["bash", "python"])
def run(request: pytest.FixtureRequest, stack: Stack, garmin: Simulator, tmp_path: Path) -> Run:
    """Run the example, as a function of who signs in, with which password and codes."""
    [example] = re.findall(rf"^```{request.param}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    script = tmp_path / "example"
    script.write_text(example, encoding="utf-8")
    if request.param == "bash":
        command = [installed("bash"), str(script)]
        assert installed("curl")
    else:
        command = [sys.executable, str(script)]
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    environment = clean_environment({"PATH": path})

    def run(
        username: str,
        password: str = PASSWORD,
        wrong_codes: Sequence[str] = (),
        code: bool = False,
        server: str = stack.url,
    ) -> subprocess.CompletedProcess[str]:
        with subprocess.Popen(
            command,
            env=environment | {"FITTRACK_SERVER": server},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # without a terminal, passwords come from standard input
        ) as process:
            assert process.stdin is not None
            for line in (username, password, *wrong_codes):
                print(line, file=process.stdin, flush=True)
            if code:
                print(sent_code(garmin, username), file=process.stdin, flush=True)
            out, error = process.communicate(timeout=_TIMEOUT)
        return subprocess.CompletedProcess(command, process.returncode, out, error)

    return run


def installed(program: str) -> str:
    path = shutil.which(program)
    assert path, f"README's example needs {program}: install it"
    return path


def sent_code(garmin: Simulator, username: str) -> str:
    ends_at = time.monotonic() + _TIMEOUT
    while time.monotonic() < ends_at:
        if codes := garmin.codes(username):
            return codes[-1].code
        time.sleep(0.05)
    raise TimeoutError(username)


def test_a_sign_in_without_a_code(run: Run) -> None:
    done = run("plain-anna@example.com")
    assert done.returncode == 0, done.stderr
    assert "Plain Anna" in done.stdout


def test_a_sign_in_with_a_code(run: Run) -> None:
    done = run("email-bob@example.com", code=True)
    assert done.returncode == 0, done.stderr
    assert "Email Bob" in done.stdout


def test_a_wrong_code_is_asked_for_again(run: Run, garmin: Simulator) -> None:
    done = run("email-carl@example.com", wrong_codes=["wrong0"], code=True)
    assert done.returncode == 0, done.stderr
    assert "Email Carl" in done.stdout
    assert garmin.count("codes_checked") == 2


def test_a_wrong_password(run: Run) -> None:
    done = run("plain-dora@example.com", password="mistyped password")
    assert done.returncode == 1
    assert "Garmin rejected the username or the password" in done.stderr
    assert "Traceback" not in done.stderr
    assert "{" not in done.stderr
    assert "mistyped password" not in done.stdout + done.stderr


def test_a_service_that_does_not_answer(run: Run) -> None:
    done = run("plain-erin@example.com", server="http://127.0.0.1:9")
    assert done.returncode != 0
    assert "refused" in done.stderr or "connect" in done.stderr
    assert "JSONDecodeError" not in done.stderr
