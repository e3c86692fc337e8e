"""Finish sign-ins that another process began: a line `{"pending", "code"}` in, tokens out."""

import json
import sys

from dev.short import SHORT
from shared.garmin.types import PendingSignIn
from tests.worker.ways import ALWAYS, driver
from worker.drivers.http import GarminAdapter


def main() -> None:
    adapter = GarminAdapter(SHORT)
    for line in sys.stdin:
        work = json.loads(line)
        pending = PendingSignIn.from_revealed(work["pending"].encode())
        signed_in = driver(pending.driver, adapter).finish(pending, work["code"], ALWAYS)
        print(signed_in.tokens.reveal().decode(), flush=True)


if __name__ == "__main__":
    main()
