"""Finishes a sign-in that another process began: `{"pending", "code"}` in, tokens out."""

import json
import sys

from shared.garmin.types import PendingSignIn
from tests.worker.ways import driver
from worker.drivers.http import GarminAdapter


def main() -> None:
    work = json.load(sys.stdin)
    pending = PendingSignIn.from_revealed(work["pending"].encode())
    signed_in = driver(pending.driver, GarminAdapter()).finish(pending, work["code"])
    sys.stdout.write(signed_in.tokens.reveal().decode())


if __name__ == "__main__":
    main()
