"""A job whose permit is withdrawn sends no further request to Garmin, whichever comes next."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count

import pytest

from shared.errors import FitTrackError, JobLostError, TimedOutError
from tests.worker.ways import ALWAYS, MOBILE, WIDGET, FixedPermit, Way

either_error = pytest.mark.parametrize("kind", [JobLostError, TimedOutError])


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

    def post_password(self, way: str) -> None:
        """Counted by others."""


def start_over(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    way.garmin.reset()
    way.configure()
    monkeypatch.setattr("worker.drivers.garth.sso.OAUTH_CONSUMER", {})


@either_error
def test_a_sign_in_without_permission_stops(
    way: Way, kind: type[FitTrackError], monkeypatch: pytest.MonkeyPatch
) -> None:
    for allowed in count():
        start_over(way, monkeypatch)
        way.permit = LimitedPermit(allowed, kind)
        try:
            way.tokens("plain-anna@example.com")
        except kind:
            assert way.garmin.count("requests") == allowed
        else:
            break
    assert allowed >= 3
    assert way.garmin.count("requests") == allowed


@either_error
def test_a_code_check_without_permission_stops(
    way: Way, kind: type[FitTrackError], monkeypatch: pytest.MonkeyPatch
) -> None:
    for allowed in count():
        start_over(way, monkeypatch)
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


@either_error
def test_a_refresh_without_permission_sends_nothing(way: Way, kind: type[FitTrackError]) -> None:
    tokens = way.tokens("plain-anna@example.com")
    before = way.garmin.count("requests")
    way.permit = FixedPermit(error=kind())
    for call in (way.refresh, way.identify):
        with pytest.raises(kind):
            call(tokens)
    assert way.garmin.count("requests") == before


@pytest.mark.parametrize("way", [MOBILE, WIDGET], indirect=True)
def test_a_lost_job_does_not_stop_the_others(way: Way) -> None:
    lost = replace(way, permit=FixedPermit(error=JobLostError()))

    def sign_in(number: int) -> bool:
        username = f"plain-{number}@example.com"
        if number % 2:
            with pytest.raises(JobLostError):
                lost.tokens(username)
            return way.posts(username) == 0
        return way.who(way.tokens(username)) == way.guid(username)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(sign_in, range(16)))
