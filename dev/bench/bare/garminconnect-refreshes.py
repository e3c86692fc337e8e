"""Refreshing tokens with plain garminconnect: what the service is measured against.

Not a module of `dev`: only the garminconnect driver may import garminconnect. Reads one line of
JSON for each round, `{"tokens": [<what dumps() gave>…], "threads": 16}`, and answers with one,
`{"seconds": <the whole round>, "tokens": [<what they are now>…]}`.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from garminconnect.client import Client


def refresh(dumped: str) -> str:
    """As garminconnect does it when an access token is over."""
    client = Client()
    client.loads(dumped)
    client._refresh_session()
    renewed = client.dumps()
    if renewed == dumped:
        raise ValueError("not refreshed")
    return renewed


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        started = time.perf_counter()
        with ThreadPoolExecutor(asked["threads"]) as pool:
            tokens = list(pool.map(refresh, asked["tokens"]))
        answer = {"seconds": time.perf_counter() - started, "tokens": tokens}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


main()
