"""`make try`: the service, a simulated Garmin and a sample app, in a browser, until Ctrl-C."""

import os
import sys
import tempfile
import time
from pathlib import Path

from dev.embedded import embedded_stack
from dev.processes import ROOT, NotReadyError, interrupt_on_signals
from dev.sample_app.stack import sample_app
from dev.simulator import Simulator
from dev.simulator.accounts import PASSWORD
from dev.stack import Stack, new_key

_ACCOUNTS = (
    ("plain-anna@example.com", "signs in at once"),
    ("email-bob@example.com", "gets a code by e-mail: it is printed here"),
    ("sms-codelocked-eve@example.com", "is locked after the code"),
)


def main() -> int:
    interrupt_on_signals()
    try:
        with tempfile.TemporaryDirectory(
            prefix="fittrack-try-", ignore_cleanup_errors=True
        ) as folder:
            run(Path(folder))
    except (NotReadyError, OSError) as error:
        print(f"make try: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", flush=True)
    return 0


def run(folder: Path) -> None:
    print("Starting…", flush=True)
    settings = {"FITTRACK_ENCRYPTION_KEYS": new_key("try")}
    with (
        Simulator(latency=0.3) as garmin,
        embedded_stack(folder, settings, garmin.environment) as stack,
        sample_app(stack, garmin.environment) as address,
    ):
        greet(stack, address)
        print_codes(garmin)


def greet(stack: Stack, address: str) -> None:
    accounts = "\n".join(f"    {name:<32} {what}" for name, what in _ACCOUNTS)
    print(
        f"\nThe sample app is at   {address}  (begin here)"
        f"\nFitTrack Auth is at    {stack.url}  (documentation at {stack.url}/docs)"
        f"\n\nGarmin is simulated. Connect one of these accounts, or any other name:\n\n{accounts}"
        f"\n\nPassword of all: {PASSWORD}"
        f"\nPersonal API key of the first: key-{_ACCOUNTS[0][0]}"
        "\nMore accounts: docs/simulator.md. Ctrl-C stops everything.\n",
        flush=True,
    )


def print_codes(garmin: Simulator) -> None:
    """Print what people would find in their mailboxes."""
    printed = 0
    while True:
        sent = garmin.issued()["code"]
        for code in sent[printed:]:
            print(f"-- Message from the simulated Garmin: your code is {code}", flush=True)
        printed = len(sent)
        time.sleep(0.2)


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
