"""garth and garminconnect clients whose connections are closed after use."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import garminconnect.client

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Garth is deprecated", category=DeprecationWarning)
    import garth

__all__ = ["garminconnect_client", "garth", "garth_client"]

STRATEGIES = {
    "mobile+cffi",
    "mobile+requests",
    "widget+cffi",
    "portal+cffi",
    "portal+requests",
}


@contextmanager
def garth_client(domain: str = "garmin.com") -> Iterator[garth.http.Client]:
    client = garth.http.Client(domain=domain)
    try:
        yield client
    finally:
        client.sess.close()


@contextmanager
def garminconnect_client(strategy: str) -> Iterator[garminconnect.client.Client]:
    """Yield a client that signs in by this strategy only."""
    client = garminconnect.client.Client()
    client.skip_strategies = STRATEGIES - {strategy}
    sessions = (client.cs, client._api_session)
    try:
        yield client
    finally:
        for session in sessions:
            session.close()
