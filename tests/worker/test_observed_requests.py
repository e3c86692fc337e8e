"""Requests to Garmin are counted and timed, and answers that nobody knows are reported."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest

from dev.short import SHORT
from shared.errors import FitTrackError, SignInAgainError, SignInError
from shared.redis.connection import Redis
from shared.redis.measurements import GARMIN_REQUESTS, GARMIN_SECONDS, MeasuredSums, Measurements
from shared.redis.unknown_answers import UnknownAnswers
from tests.logs import captured_logs
from tests.worker.ways import ALWAYS, GARTH, MOBILE, Way
from worker.drivers.http import GarminAdapter
from worker.drivers.route import RESULTS
from worker.drivers.steps import NAMES
from worker.measuring import MeasuredGarmin

EXCHANGE = "/oauth-service/oauth/exchange/user/2.0"
PREAUTHORIZED = "/oauth-service/oauth/preauthorized"
DI_TOKEN = "/di-oauth2-service/oauth/token"

both = pytest.mark.parametrize("way", [GARTH, MOBILE], indirect=True)
only_garth = pytest.mark.parametrize("way", [GARTH], indirect=True)
only_garminconnect = pytest.mark.parametrize("way", [MOBILE], indirect=True)


@dataclass
class Recorder:
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    unknown_answers: list[tuple[str, str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def sent(self, driver: str, step: str, result: str, seconds: float) -> None:
        assert driver in {"garth", "garminconnect"}
        assert step in NAMES
        assert result in RESULTS
        self.requests[step, result] += 1
        self.seconds.append(seconds)

    def unknown(self, driver: str, step: str) -> None:
        self.unknown_answers.append((driver, step))


@pytest.fixture
def recorder(adapter: GarminAdapter) -> Recorder:
    recorder = Recorder()
    adapter.observer = recorder
    return recorder


def finish(way: Way, username: str) -> None:
    way.driver.finish(way.pending(username), way.garmin.code(username), ALWAYS)


@both
def test_each_request_of_a_sign_in_is_counted_by_its_step(way: Way, recorder: Recorder) -> None:
    tokens = way.tokens("plain-anna@example.com")
    way.identify(tokens)
    steps = {step for step, _ in recorder.requests}
    last = {"oauth1", "oauth2", "consumer"} if way.name == GARTH else {"di"}
    assert steps == {"page", "login", "profile"} | last
    assert {result for _, result in recorder.requests} == {"ok"}
    assert all(0 <= seconds < 60 for seconds in recorder.seconds)


@both
@pytest.mark.parametrize(
    ("status", "result"), [(429, "refused"), (403, "refused"), (503, "server_error")]
)
def test_an_answer_is_counted_by_its_status(
    way: Way, recorder: Recorder, status: int, result: str
) -> None:
    way.configure(faults=[{"kind": "status", "status": status, "path": "/mobile/api/login"}])
    with suppress(SignInError):  # another way in may be left
        way.sign_in("plain-anna@example.com")
    assert recorder.requests["login", result] == 1


@both
def test_a_request_without_an_answer_is_counted_by_its_cause(way: Way, recorder: Recorder) -> None:
    way.adapter.timings = replace(SHORT, garmin_answer=0.5)
    way.configure(faults=[{"kind": "hang", "path": "/mobile/api/login"}])
    with pytest.raises(SignInError):
        way.sign_in("plain-anna@example.com")
    assert recorder.requests["login", "timeout"] == 1
    assert max(recorder.seconds) >= 0.4
    way.configure(faults=[{"kind": "cut", "path": "/mobile/api/login"}])
    with pytest.raises(SignInError):
        way.sign_in("plain-anna@example.com")
    assert recorder.requests["login", "broken"] == 1


@both
def test_an_answer_nobody_knows_is_reported_and_its_shape_logged(
    way: Way, recorder: Recorder
) -> None:
    way.configure(faults=[{"kind": "garbage", "path": "/mobile/api/login"}])
    with captured_logs() as log, pytest.raises(FitTrackError):
        way.sign_in("plain-anna@example.com")
    assert recorder.unknown_answers == [(way.driver_name, "login")]
    assert f"{way.driver_name}, login: an answer nobody knows: status 200" in log.getvalue()
    assert not [secret for secret in way.secrets if secret in log.getvalue()]


@only_garth
def test_an_unknown_answer_to_the_exchange_after_a_right_code_is_reported(
    way: Way, recorder: Recorder
) -> None:
    way.configure(faults=[{"kind": "garbage", "path": EXCHANGE}])
    with pytest.raises(SignInAgainError):
        finish(way, "email-anna@example.com")
    assert recorder.unknown_answers == [("garth", "oauth2")]


@only_garth
def test_an_unknown_answer_to_a_ticket_is_reported_though_di_redeems_it(
    way: Way, recorder: Recorder
) -> None:
    way.configure(faults=[{"kind": "garbage", "path": PREAUTHORIZED}])
    finish(way, "email-anna@example.com")
    assert recorder.unknown_answers == [("garth", "oauth1")]


@only_garminconnect
def test_an_unknown_answer_of_di_after_a_right_code_is_reported(
    way: Way, recorder: Recorder
) -> None:
    way.configure(faults=[{"kind": "garbage", "path": DI_TOKEN}])
    with pytest.raises(SignInAgainError):
        finish(way, "email-anna@example.com")
    assert recorder.unknown_answers == [("garminconnect", "di")]


@both
def test_a_known_refusal_after_a_right_code_is_not_reported(way: Way, recorder: Recorder) -> None:
    path = EXCHANGE if way.name == GARTH else DI_TOKEN
    way.configure(faults=[{"kind": "status", "status": 429, "path": path, "times": 9}])
    with pytest.raises(SignInError):
        finish(way, "email-anna@example.com")
    assert recorder.unknown_answers == []


def test_a_workers_observer_counts_and_times(redis: Redis) -> None:
    measurements = Measurements()
    observer = MeasuredGarmin(measurements, UnknownAnswers(redis))
    observer.sent("garth", "login", "ok", 0.3)
    observer.sent("garth", "login", "ok", 3.0)
    observer.unknown("garth", "login")
    measurements.flush_to(redis)
    sums = MeasuredSums(redis).read()
    assert list(sums.counted(GARMIN_REQUESTS)) == [(("garth", "login", "ok"), 2)]
    [times] = sums.timed(GARMIN_SECONDS)
    assert (times.labels, times.seconds) == (("garth", "login"), 3.3)
    assert UnknownAnswers(redis).counts() == {("garth", "login"): 1}
