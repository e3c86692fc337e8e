"""`make demo`: one MFA sign-in from start to end, against the simulated Garmin.

Starts everything in a temporary folder, drives the bundled command line as a person would, looks
into the database, and stops everything. Exits 0 only if all of it worked.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dev.embedded import embedded_stack
from dev.processes import NotReadyError, clean_environment
from dev.simulator import Simulator
from dev.simulator.accounts import PASSWORD
from dev.stack import BIN, Stack, new_key

_USERNAME = "email-runner@example.com"
_PATIENCE = 60.0


class DemoError(RuntimeError):
    """A step did not go as it should."""


def main() -> int:
    step("Starting Redis, the database, the API, a worker and the simulated Garmin")
    # Celery's directory listing and SQLite's side files may still appear while it is removed.
    with tempfile.TemporaryDirectory(prefix="fittrack-demo-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        try:
            with (
                Simulator() as garmin,
                embedded_stack(folder, new_key("demo"), garmin.environment) as stack,
            ):
                run(stack, garmin)
        except (DemoError, NotReadyError) as error:
            print(f"\nThe demo failed: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nStopped.", file=sys.stderr)
            return 130
    print("\nDone: everything worked, and nothing is left running.", flush=True)
    return 0


def run(stack: Stack, garmin: Simulator) -> None:
    print(f"    {stack.url} answers, and {stack.workers[0].name} is ready", flush=True)
    step(f"fittrack-auth login --server {stack.url} --username {_USERNAME}")
    sign_in(stack, garmin)
    step("fittrack-auth whoami")
    command_line(stack, "whoami")
    step("What lies in the database")
    show_ciphertext(stack.folder)
    counters = garmin.counters()["total"]
    step("What Garmin saw")
    for what in ("credential_posts", "codes_sent", "codes_checked"):
        print(f"    {what.replace('_', ' ')}: {counters[what]}")
    if (counters["credential_posts"], counters["codes_sent"]) != (1, 1):
        message = "Garmin was asked more than once"
        raise DemoError(message)


def sign_in(stack: Stack, garmin: Simulator) -> None:
    """The command line, with the password and the code through its standard input."""
    options = ["--username", _USERNAME, "--password-stdin", "--code-stdin"]
    with subprocess.Popen(
        [BIN / "fittrack-auth", "login", "--server", stack.url, *options],
        env=environment(stack),
        stdin=subprocess.PIPE,
        stderr=sys.stdout,  # its status lines, in their place between ours
        text=True,
    ) as login:
        try:
            tell(login, PASSWORD)
            say("submitted; waiting for a worker and for Garmin")
            code = wait_for_code(garmin, login)
            say("Garmin asks for a code")
            tell(login, ask_person(code))
            say("code sent; waiting for the tokens")
            if login.wait(_PATIENCE) != 0:
                message = "the sign-in did not succeed"
                raise DemoError(message)
            say("stored: tokens encrypted, session opened")
        finally:
            login.kill()


def tell(process: subprocess.Popen[str], line: str) -> None:
    if process.stdin is None or process.poll() is not None:
        message = "the command line ended too early"
        raise DemoError(message)
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def wait_for_code(garmin: Simulator, login: subprocess.Popen[str]) -> str:
    """The code that the simulated Garmin sends."""
    ends_at = time.monotonic() + _PATIENCE
    while time.monotonic() < ends_at and login.poll() is None:
        codes = garmin.codes(_USERNAME)
        if codes:
            time.sleep(1.5)  # lets the command line ask first: what follows reads in order
            return codes[-1].code
        time.sleep(0.1)
    message = "Garmin sent no code"
    raise DemoError(message)


def ask_person(code: str) -> str:
    """On a terminal the person types it, as they would from their e-mail; else it is typed here."""
    say(f"the simulated Garmin sent the code {code}")
    if not sys.stdin.isatty():
        say(f"no terminal: typing {code}")
        return code
    try:
        return input("    Type it here: ").strip() or code
    except EOFError:
        return code


def command_line(stack: Stack, *arguments: str) -> None:
    result = subprocess.run(
        [BIN / "fittrack-auth", *arguments], env=environment(stack), check=False, timeout=_PATIENCE
    )
    if result.returncode != 0:
        message = f"fittrack-auth {arguments[0]} ended with {result.returncode}"
        raise DemoError(message)


def environment(stack: Stack) -> dict[str, str]:
    """With a configuration folder of its own: the person's own session stays as it is."""
    return clean_environment({"XDG_CONFIG_HOME": str(stack.folder), "HOME": str(stack.folder)})


def show_ciphertext(folder: Path) -> None:
    with sqlite3.connect(folder / "fittrack.db") as database:
        rows = database.execute("SELECT driver, key_id, ciphertext FROM garmin_tokens").fetchall()
    database.close()
    if len(rows) != 1:
        message = f"there are {len(rows)} rows of Garmin tokens, not 1"
        raise DemoError(message)
    driver, key_id, ciphertext = rows[0]
    print(f"    driver {driver}, sealed with key {key_id!r}, {len(ciphertext)} bytes:")
    print(f"    {ciphertext[:64].decode()}…")
    stored = b"".join(path.read_bytes() for path in folder.glob("fittrack.db*"))
    for secret in (b"oauth_token", b'access_token":', PASSWORD.encode(), _USERNAME.encode()):
        if secret in stored:
            message = "something that should be sealed lies in the clear"
            raise DemoError(message)
    print("    no token, password or username stands there in the clear")


def say(text: str) -> None:
    print(f"    -- {text}", flush=True)


def step(text: str) -> None:
    print(f"\n==> {text}", flush=True)


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parent.parent)
    sys.exit(main())
