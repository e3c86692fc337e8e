"""A job that may not go on sends nothing more to Garmin, at whatever request that turns out."""

from dataclasses import dataclass
from itertools import count

import pytest

from shared.errors import FitTrackError, JobLostError, TimedOutError
from tests.worker.ways import ALWAYS, WIDGET, FixedPermit, Way

both_ends = pytest.mark.parametrize("kind", [JobLostError, TimedOutError])


@dataclass
class LimitedPermit:
    """Allows so many requests, and then no more."""

    requests: int
    kind: type[FitTrackError]

    def check(self) -> float | None:
        self.requests -= 1
        if self.requests < 0:
            raise self.kind
        return 60.0


def start_anew(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    way.garmin.reset()
    way.configure()
    monkeypatch.setattr("worker.drivers.garth.sso.OAUTH_CONSUMER", {})


@both_ends
def test_a_sign_in_that_may_not_go_on_stops(
    way: Way, kind: type[FitTrackError], monkeypatch: pytest.MonkeyPatch
) -> None:
    for allowed in count():
        start_anew(way, monkeypatch)
        way.permit = LimitedPermit(allowed, kind)
        try:
            way.tokens("plain-anna@example.com")
        except kind:
            assert way.garmin.count("requests") == allowed
        else:
            break
    assert allowed >= 3
    assert way.garmin.count("requests") == allowed


@both_ends
def test_a_code_check_that_may_not_go_on_stops(
    way: Way, kind: type[FitTrackError], monkeypatch: pytest.MonkeyPatch
) -> None:
    for allowed in count():
        start_anew(way, monkeypatch)
        way.permit = ALWAYS
        pending = way.pending("app-bob@example.com")
        code = way.garmin.code("app-bob@example.com")
        before = way.garmin.count("requests")
        monkeypatch.setattr("worker.drivers.garth.sso.OAUTH_CONSUMER", {})
        redirects = way.name == WIDGET and allowed > 0  # curl follows one by itself
        way.permit = LimitedPermit(allowed, kind)
        try:
            way.finish(pending, code)
        except kind:
            assert way.garmin.count("requests") - before == allowed + redirects
        else:
            break
    assert allowed >= 2
    assert way.garmin.count("requests") - before == allowed + redirects


@both_ends
def test_a_refresh_that_may_not_go_on_stops(way: Way, kind: type[FitTrackError]) -> None:
    tokens = way.tokens("plain-anna@example.com")
    before = way.garmin.count("requests")
    way.permit = FixedPermit(error=kind())
    for call in (way.refresh, way.identify):
        with pytest.raises(kind):
            call(tokens)
    assert way.garmin.count("requests") == before
