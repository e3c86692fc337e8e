"""A job that may not go on sends nothing more to Garmin, at whatever request that turns out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import pytest

from shared.errors import FitTrackError, JobLostError, TimedOutError
from shared.jobs.claims import Claim
from shared.jobs.states import JobKind
from tests.worker.ways import WIDGET, Way
from worker import lease
from worker.lease import Lease

both_ends = pytest.mark.parametrize("kind", [JobLostError, TimedOutError])


@dataclass(eq=False)
class ShortLease(Lease):
    """May go on so many times, and then no more."""

    times: int = 0
    kind: type[FitTrackError] = JobLostError

    def check(self) -> float | None:
        self.times -= 1
        if self.times < 0:
            raise self.kind
        return 60.0


@contextmanager
def job(times: int, kind: type[FitTrackError]) -> Iterator[None]:
    claim = Claim("1", "first", JobKind.LOGIN, 1, None, None)
    short = ShortLease(claim, lambda _: None, None, 0, times=times, kind=kind)
    token = lease._current.set(short)
    try:
        yield
    finally:
        lease._current.reset(token)


def start_anew(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    way.garmin.reset()
    way.configure()
    monkeypatch.setattr("worker.drivers.garth.sso.OAUTH_CONSUMER", {})


@both_ends
def test_a_sign_in_that_may_not_go_on_stops(
    way: Way, kind: type[FitTrackError], monkeypatch: pytest.MonkeyPatch
) -> None:
    for times in count():
        start_anew(way, monkeypatch)
        try:
            with job(times, kind):
                way.tokens("plain-anna@example.com")
        except kind:
            assert way.garmin.count("requests") == times
        else:
            break
    assert times >= 3
    assert way.garmin.count("requests") == times


@both_ends
def test_a_code_check_that_may_not_go_on_stops(
    way: Way, kind: type[FitTrackError], monkeypatch: pytest.MonkeyPatch
) -> None:
    for times in count():
        start_anew(way, monkeypatch)
        pending = way.pending("app-bob@example.com")
        code = way.garmin.code("app-bob@example.com")
        before = way.garmin.count("requests")
        monkeypatch.setattr("worker.drivers.garth.sso.OAUTH_CONSUMER", {})
        redirects = way.name == WIDGET and times > 0  # curl follows one by itself
        try:
            with job(times, kind):
                way.finish(pending, code)
        except kind:
            assert way.garmin.count("requests") - before == times + redirects
        else:
            break
    assert times >= 2
    assert way.garmin.count("requests") - before == times + redirects


@both_ends
def test_a_refresh_that_may_not_go_on_stops(way: Way, kind: type[FitTrackError]) -> None:
    tokens = way.tokens("plain-anna@example.com")
    before = way.garmin.count("requests")
    for call in (way.driver.refresh, way.driver.identify):
        with job(0, kind), pytest.raises(kind):
            call(tokens)
    assert way.garmin.count("requests") == before
