"""No secret gets out: every flow runs, and all that can be recorded is searched for every secret.

A secret may stand in the HTTP traffic with the client that owns it, in the memory of our processes,
and nowhere else.
"""

import re
import tempfile
from pathlib import Path

import pytest

from dev.simulator.issued import KINDS
from tests.end_to_end import recorders as at
from tests.end_to_end.detector import Canary, Detector, Leak
from tests.end_to_end.plants import PLANTS
from tests.end_to_end.scene import Evidence, play
from tests.end_to_end.wrong_requests import A_WORD

pytestmark = [pytest.mark.timeout(900), pytest.mark.long]

TOLERATED = {
    # The access log shows the path, less what looks like a secret in it.
    (A_WORD, at.LOGS),
    # The operator sees of whom an app has yet to hear.
    ("user id", at.TERMINAL),
    # A link is found by it.
    *(("user id", place) for place in (at.REDIS_TRAFFIC, at.REDIS, at.DATABASE, at.SQL)),
}
OF_CLIENTS = {
    "username",
    "password",
    "code",
    "challenge id",
    "connect token",
    "poll token",
    "access token",
    "client key",
    "webhook secret",
    "idempotency key",
    "user id",
    "imported tokens",
}


@pytest.fixture(scope="module")
def evidence(server_folder: Path) -> Evidence:
    return play(Path(tempfile.mkdtemp(dir=server_folder)))


@pytest.fixture(scope="module")
def leaks(evidence: Evidence) -> set[Leak]:
    """Everything that is found anywhere, what was planted included."""
    planted = [Canary(name, canary.value) for name, canary in evidence.planted.items()]
    detector = Detector([*evidence.canaries, *planted])
    return {
        leak for place in at.PLACES for leak in detector.leaks(place, evidence.recording.of(place))
    }


def test_no_secret_is_found_anywhere(leaks: set[Leak]) -> None:
    found = sorted(leak for leak in leaks if leak.kind not in PLANTS)
    unwanted = [str(leak) for leak in found if (leak.kind, leak.place) not in TOLERATED]
    assert unwanted == [], "\n".join(unwanted)  # all of them: pytest would shorten the list


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_leak_is_found_where_it_was_planted(leaks: set[Leak], name: str) -> None:
    assert {leak.place for leak in leaks if leak.kind == name} == PLANTS[name][1]


def test_every_kind_of_secret_occurred(evidence: Evidence) -> None:
    expected = {*KINDS, *OF_CLIENTS, "sealing key"}
    assert {canary.kind for canary in evidence.canaries} >= expected
    assert len(evidence.canaries) > 500


@pytest.mark.parametrize("place", [at.REDIS_TRAFFIC, at.EVENTS, at.FLOWER, at.LOGS])
def test_every_job_was_recorded(evidence: Evidence, place: str) -> None:
    recorded = evidence.recording.of(place)
    assert len(evidence.job_ids) > 50
    assert [job_id for job_id in evidence.job_ids if job_id.encode() not in recorded] == []


@pytest.mark.parametrize("place", [at.DATABASE, at.SQL])
def test_every_session_was_recorded(evidence: Evidence, place: str) -> None:
    recorded = evidence.recording.of(place).replace(b"-", b"")
    assert len(evidence.session_ids) > 10
    for session_id in evidence.session_ids:
        assert session_id.replace("-", "").encode() in recorded


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (at.REDIS, rb"fittrack:challenge:"),
        (at.REDIS, rb"fittrack:account:[0-9a-f]{64}"),
        (at.REDIS, rb"fittrack:connect:[0-9a-f-]{36}"),
        (at.REDIS, rb"fittrack:idempotency:[0-9a-f]{64}"),
        (at.REDIS, rb"fittrack:limit.*login-account"),
        (at.REDIS, rb"fittrack:events.*code_submitted"),
        (at.DATABASE, rb"auth_events: .*'sign_in_requested'"),
        (at.DATABASE, rb"api_clients: .*'other'"),
        (at.DATABASE, rb"client_links: "),
        (at.DATABASE, rb"auth_events: .*'state_changed'"),
        (at.REDIS, rb"fittrack:events:counted:[^\n]*tokens_read"),
        (at.METRICS, rb'fittrack_jobs_ended_total\{kind="refresh",result="succeeded"\}'),
        (at.METRICS, rb'fittrack_jobs_ended_total\{kind="mfa_completion",result="succeeded"\}'),
        (at.METRICS, rb'route="/api/jobs/\{job_id\}",status="404"'),
        (
            at.ERRORS,
            rb"(?s)invalid_credentials.*internal_error.*garmin_rate_limited.*job_not_found",
        ),
        (at.ERRORS, rb'"code":"sign_in_in_progress"'),
        (at.ERRORS, rb'"code":"idempotency_key_reused"'),
        (at.ERRORS, rb'"code":"link_not_found"'),
        (at.ERRORS, rb'"code":"sign_in_required"'),
        (at.ERRORS, rb'"code":"scope_missing"'),
        (at.ERRORS, rb'"unavailable":\["garmin"\]'),
        (at.ERRORS, rb'"status":429,.*"code":"rate_limited"'),
        (at.TERMINAL, rb"(?s)Email .*0 left.*can be dropped"),
        (at.TERMINAL, rb"(?s)an app with this name exists.*app removed; connections deleted: 1"),
        (at.TERMINAL, rb'"kind":"rate_limited","outcome":"login-account"'),
        (at.ERRORS, rb'"code": "tokens_unreadable"'),
        (at.TERMINAL, rb"Imported from "),
        (at.LOGS, rb'"level": "debug", "logger": "celery'),
        (at.LOGS, rb"\[debug +\] .*\[celery"),
        (at.LOGS, rb"bug: ProgrammingError at "),
        (at.LOGS, rb"bug: ValidationError at [^\n]*from_revealed"),
        (at.LOGS, rb"message suppressed"),
        (at.LOGS, rb"ASGI \["),
    ],
)
def test_every_place_was_recorded(evidence: Evidence, place: str, told: bytes) -> None:
    assert re.search(told, evidence.recording.of(place))
