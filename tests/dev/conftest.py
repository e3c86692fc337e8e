"""A simulated Garmin that the process's environment points at."""

from collections.abc import Iterator

import garminconnect.client.sso
import pytest

from dev.simulator import Simulator
from tests.dev.libraries import garth
from tests.dev.wire import Wire, wire

IN_THE_WAY = ("GARTH_HOME", "GARTH_TOKEN", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy")


@pytest.fixture
def garmin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The libraries reach it through the environment; garminconnect does not sleep."""
    for name in IN_THE_WAY:
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
def browser(garmin: Simulator) -> Iterator[Wire]:
    """One client of the simulated Garmin, without a library."""
    with wire(garmin) as client:
        yield client
