"""Signing in with plain garth, as its users write it: what the service is measured against.

Not a module of `dev`: only the garth driver may import garth. Reads one line of JSON for each
round, `{"usernames": […], "password": "…", "threads": 16}`, and answers with one,
`{"seconds": <the whole round>, "each": [<every sign-in>]}`.
"""

import json
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import garth

_PROFILE = "/userprofile-service/socialProfile"


def sign_in(username: str, password: str) -> float:
    """Seconds until the profile is there."""
    started = time.perf_counter()
    client = garth.Client()
    client.login(username, password)  # type: ignore[no-untyped-call]
    # Without headers of its own a call shares a dict with all other clients of the process.
    profile = client.connectapi(_PROFILE, headers={})
    if not isinstance(profile, dict) or not profile["garminGUID"]:
        raise ValueError(username)
    return time.perf_counter() - started


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        started = time.perf_counter()
        with ThreadPoolExecutor(asked["threads"]) as pool:
            passwords = [asked["password"]] * len(asked["usernames"])
            each = list(pool.map(sign_in, asked["usernames"], passwords))
        answer = {"seconds": time.perf_counter() - started, "each": each}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


main()
