"""A simulated Garmin, and the environment that makes libraries use it."""

from collections.abc import Iterator

import garminconnect.client.sso
import pytest

from dev.simulator import Simulator
from tests.dev.libraries import garth
from tests.dev.wire import Wire, wire

UNSET = ("GARTH_HOME", "GARTH_TOKEN", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy")


@pytest.fixture
def garmin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A simulator that the environment points to; garminconnect does not sleep."""
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)
    for flow in ("MOBILE", "WIDGET", "LOGIN"):
        for bound in ("MIN", "MAX"):
            monkeypatch.setattr(garminconnect.client.sso, f"{flow}_DELAY_{bound}_S", 0.0)
    monkeypatch.setattr(garth.sso, "OAUTH_CONSUMER", {})
    with Simulator() as simulator:
        for name, value in simulator.environment.items():
            monkeypatch.setenv(name, value)
        yield simulator


@pytest.fixture
def client(garmin: Simulator) -> Iterator[Wire]:
    with wire(garmin) as client:
        yield client
