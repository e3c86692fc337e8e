"""`make demo`, as a person at a terminal sees it, and without a terminal."""

import re
import subprocess
import sys
from pathlib import Path

from dev.processes import ROOT, clean_environment
from tests.client.cli.program import Program
from tests.client.cli.pseudo_terminal import terminal_with

_DEMO = (sys.executable, "-m", "dev.demo")


def test_a_mistyped_code_is_asked_for_again(tmp_path: Path) -> None:
    with terminal_with(Program(tmp_path, "http://127.0.0.1:1"), *_DEMO) as terminal:
        terminal.expect("your code is ")
        terminal.expect("Code: ")
        terminal.type("wrong0\n")
        terminal.expect("Garmin did not accept this code.")
        terminal.expect("2 attempts left.")
        terminal.expect("Code: ")
        [code] = re.findall(r"your code is (\w+)", terminal.text)
        terminal.type(f"{code}\n")
        terminal.expect("Signed in as Email Runner.")
        terminal.expect("Done: everything worked")
        assert terminal.exit_code() == 0
        assert "codes checked: 2" in terminal.text
        assert "Traceback" not in terminal.text
        assert "correct horse" not in terminal.text


def test_without_a_terminal_the_code_is_typed_for_the_person() -> None:
    demo = subprocess.run(
        _DEMO,
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout
    [code] = re.findall(r"your code is (\w+)", demo.stdout)
    for line in (
        f"no terminal: typing {code}",
        "Signed in as Email Runner.",
        "no token, password or username is in it in plain text",
        "codes checked: 1",
        "Done: everything worked, and nothing is left running.",
    ):
        assert line in demo.stdout
