"""`make demo`: one sign-in with a one-time code, from start to end, against the simulated Garmin.

Starts everything in a temporary folder, signs in with the bundled command line, looks into the
database, and stops everything. On a terminal the person types the code, at the command line's own
prompt; elsewhere it is typed for them. Exits 0 only if all of it worked.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from dev.embedded import embedded_stack
from dev.processes import ROOT, NotReadyError, clean_environment, interrupt_on_signals
from dev.simulator import Simulator
from dev.simulator.accounts import PASSWORD
from dev.stack import BIN, Stack, new_key

_USERNAME = "email-runner@example.com"
_LATENCY = 0.3  # of each answer of Garmin's: the e-mail is here before the command line asks for it
_TIMEOUT = 60.0
_PERSON_TIMEOUT = 900.0  # longer than a challenge lives


class DemoError(RuntimeError):
    """A step failed."""


def main() -> int:
    interrupt_on_signals()
    try:
        # SQLite's side files may still appear while the folder is removed.
        with tempfile.TemporaryDirectory(
            prefix="fittrack-demo-", ignore_cleanup_errors=True
        ) as folder:
            run(Path(folder))
    except (DemoError, NotReadyError, OSError, subprocess.TimeoutExpired) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    print("\nDone: everything worked, and nothing is left running.", flush=True)
    return 0


def run(folder: Path) -> None:
    print_step("Starting Redis, the database, the API, a worker and the simulated Garmin")
    settings = {"FITTRACK_ENCRYPTION_KEYS": new_key("demo")}
    with (
        Simulator(_LATENCY) as garmin,
        embedded_stack(folder, settings, garmin.environment) as stack,
    ):
        print(f"    {stack.url} answers, and {stack.workers[0].name} is ready", flush=True)
        print_step(f"fittrack-auth login --server {stack.url} --username {_USERNAME}")
        sign_in(stack, garmin)
        print_step("fittrack-auth whoami")
        run_command_line(stack, "whoami")
        print_step("What the database contains")
        check_database(folder)
        print_step("What Garmin saw")
        check_garmin(garmin)


def sign_in(stack: Stack, garmin: Simulator) -> None:
    """Run the command line, with the password on its standard input."""
    at_terminal = all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    options = ["--username", _USERNAME, "--password-stdin"]
    if not at_terminal:
        options.append("--code-stdin")
    with subprocess.Popen(
        [BIN / "fittrack-auth", "login", "--server", stack.url, *options],
        env=command_line_environment(stack),
        stdin=subprocess.PIPE,
        stderr=None if at_terminal else sys.stdout,  # its status lines, in order with ours
        text=True,
    ) as login:
        assert login.stdin is not None  # noqa: S101 - it is a pipe
        try:
            send_line(login.stdin, PASSWORD)
            code = wait_for_code(garmin, login)
            print_email(code, at_terminal)
            if not at_terminal:
                send_line(login.stdin, code)
            login.stdin.close()
            if login.wait(_PERSON_TIMEOUT) != 0:
                raise DemoError("the sign-in did not succeed")
        finally:
            login.kill()


def send_line(stream: IO[str], line: str) -> None:
    try:
        print(line, file=stream, flush=True)
    except BrokenPipeError:
        raise DemoError("the command line ended too early") from None


def wait_for_code(garmin: Simulator, login: subprocess.Popen[str]) -> str:
    """Return the code that the simulated Garmin sends."""
    ends_at = time.monotonic() + _TIMEOUT
    while time.monotonic() < ends_at and login.poll() is None:
        if codes := garmin.codes(_USERNAME):
            return codes[-1].code
        time.sleep(0.02)
    raise DemoError("Garmin sent no code")


def print_email(code: str, at_terminal: bool) -> None:
    """Print what the person would find in their mailbox."""
    # The command line shows its progress in the terminal's last line: write over it.
    start = "\r\x1b[2K" if at_terminal else ""
    hint = "type it below, or a wrong one first" if at_terminal else f"no terminal: typing {code}"
    print(f"{start}    -- E-mail from the simulated Garmin: your code is {code}")
    print(f"    -- {hint}", flush=True)


def run_command_line(stack: Stack, *arguments: str) -> None:
    result = subprocess.run(
        [BIN / "fittrack-auth", *arguments],
        env=command_line_environment(stack),
        check=False,
        timeout=_TIMEOUT,
    )
    if result.returncode != 0:
        raise DemoError(f"fittrack-auth {arguments[0]} ended with {result.returncode}")


def command_line_environment(stack: Stack) -> dict[str, str]:
    """Return an environment in which the person's own session stays as it is."""
    return clean_environment({"XDG_CONFIG_HOME": str(stack.folder), "HOME": str(stack.folder)})


def check_database(folder: Path) -> None:
    """Print the start of the stored tokens. Raises DemoError if anything is not encrypted."""
    with sqlite3.connect(folder / "fittrack.db") as database:
        rows = database.execute("SELECT driver, key_id, ciphertext FROM garmin_tokens").fetchall()
    database.close()
    if len(rows) != 1:
        raise DemoError(f"there are {len(rows)} rows of Garmin tokens, not 1")
    driver, key_id, ciphertext = rows[0]
    print(f"    tokens from {driver}, encrypted with key {key_id!r}, {len(ciphertext)} bytes:")
    print(f"    {ciphertext[:64].decode()}…")
    stored = b"".join(path.read_bytes() for path in folder.glob("fittrack.db*"))
    for secret in (b"oauth_token", b'access_token":', PASSWORD.encode(), _USERNAME.encode()):
        if secret in stored:
            raise DemoError("the database contains a secret in plain text")
    print("    no token, password or username is in it in plain text")


def check_garmin(garmin: Simulator) -> None:
    """Print the counters. Raises DemoError if Garmin was asked more often than needed."""
    counters = garmin.counters()["total"]
    for name in ("credential_posts", "codes_sent", "codes_checked"):
        print(f"    {name.replace('_', ' ')}: {counters[name]}")
    if (counters["credential_posts"], counters["codes_sent"]) != (1, 1):
        raise DemoError("Garmin was asked more than once")


def print_step(text: str) -> None:
    print(f"\n==> {text}", flush=True)


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
