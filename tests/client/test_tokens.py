"""Garmin's access tokens: refreshed while the caller waits, asked for once, kept in the process."""

import asyncio
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from fittrack_auth_client import (
    AsyncFitTrackAuth,
    FitTrackAuth,
    LinkNotFoundError,
    NoResultInTimeError,
    Secret,
    ServiceUnavailableError,
    ServiceUnreachableError,
    SignInRequiredError,
    Token,
    UnexpectedAnswerError,
)
from tests.client.clients import Connect
from tests.client.stand_in import (
    Answer,
    Breaks,
    StandIn,
    accepted,
    done,
    job,
    problem,
    refreshing,
    succeeded,
    token,
)

TOKEN = "POST /api/users/member-1/garmin/token"
MINE = "POST /api/garmin/token"
KEY = "client-key"


@pytest.fixture
def auth(connect: Connect, stand_in: StandIn) -> FitTrackAuth:
    return connect(stand_in.url, client_key=KEY)


def value(token: Token) -> str:
    return token.access_token.reveal()


def test_a_token_has_all_that_a_request_needs(stand_in: StandIn, auth: FitTrackAuth) -> None:
    stand_in.on(TOKEN, token("one"))
    answered = auth.token("member-1")
    assert answered.access_token == Secret("one")
    assert answered.expires_at == datetime(2026, 1, 2, 10, tzinfo=UTC)
    assert answered.expires_in == 3600
    assert (answered.api_base, answered.access) == ("https://connectapi.garmin.com", "read_write")
    assert (answered.domain, answered.method) == ("garmin.com", "password")
    assert (answered.user.id, answered.user.garmin_display_name) == ("user-1", "runner7")
    [request] = stand_in.seen(TOKEN)
    assert request.headers["x-client-key"] == KEY
    assert request.data == {"min_valid_for": 300}


def test_a_session_gets_its_own_token(stand_in: StandIn, auth: FitTrackAuth) -> None:
    stand_in.on(MINE, token("one"))
    assert value(auth.session_token("session-token")) == "one"
    [request] = stand_in.seen(MINE)
    assert request.headers["authorization"] == "Bearer session-token"
    assert "x-client-key" not in request.headers


def test_a_refresh_is_waited_for(
    stand_in: StandIn, auth: FitTrackAuth, pauses: list[float]
) -> None:
    stand_in.on(TOKEN, refreshing(retry_after=1), refreshing(retry_after=2), token("one"))
    assert value(auth.token("member-1")) == "one"
    assert pauses == [1, 2]
    assert [request.query["wait"] for request in stand_in.seen(TOKEN)] == [["20"]] * 3


def test_a_refresh_is_waited_for_until_the_deadline(stand_in: StandIn, auth: FitTrackAuth) -> None:
    stand_in.on(TOKEN, refreshing(retry_after=1))
    with pytest.raises(NoResultInTimeError):
        auth.token("member-1", timeout=0.9)
    assert len(stand_in.seen(TOKEN)) == 1


def test_a_lost_answer_is_asked_for_again(
    stand_in: StandIn, auth: FitTrackAuth, pauses: list[float]
) -> None:
    stand_in.on(TOKEN, Breaks(), token("one"))
    assert value(auth.token("member-1")) == "one"
    assert pauses == [0.5]


def test_a_lost_answer_leaves_nothing_in_doubt(connect: Connect, stand_in: StandIn) -> None:
    stand_in.on(TOKEN, Breaks())
    with pytest.raises(ServiceUnreachableError):
        connect(stand_in.url, client_key=KEY, max_retries=0).token("member-1")


def test_errors_come_by_their_codes(stand_in: StandIn, auth: FitTrackAuth) -> None:
    over: dict[str, object] = {"reason": "rejected", "since": "2026-01-01T10:00:00Z"}
    stand_in.on(
        TOKEN,
        problem(404, "link_not_found"),
        problem(409, "sign_in_required", more=over),
        problem(503, "service_unavailable", retry_after=600),
        Answer(200, {"access_token": "two words"}),
    )
    with pytest.raises(LinkNotFoundError):
        auth.token("member-1")
    with pytest.raises(SignInRequiredError) as required:
        auth.token("member-1")
    assert required.value.reason == "rejected"
    assert required.value.since == datetime(2026, 1, 1, 10, tzinfo=UTC)
    with pytest.raises(ServiceUnavailableError) as unavailable:
        auth.token("member-1")
    assert unavailable.value.retry_after == 600
    with pytest.raises(UnexpectedAnswerError):
        auth.token("member-1")


def test_a_rejected_token_is_sent_as_its_hash(stand_in: StandIn, auth: FitTrackAuth) -> None:
    stand_in.on(TOKEN, token("one"), token("two"))
    first = auth.token("member-1")
    assert value(auth.token("member-1", rejected=first.access_token)) == "two"
    sent = hashlib.sha256(b"one").hexdigest()
    assert stand_in.seen(TOKEN)[1].data == {"min_valid_for": 300, "rejected": sent}
    # Whoever comes late with the same one gets what is there.
    assert value(auth.token("member-1", rejected="one")) == "two"
    assert len(stand_in.seen(TOKEN)) == 2


def test_a_thousand_requests_ask_once(stand_in: StandIn, auth: FitTrackAuth) -> None:
    stand_in.on(TOKEN, token("one"))
    assert {value(auth.token("member-1")) for _ in range(1000)} == {"one"}
    assert len(stand_in.seen(TOKEN)) == 1


@pytest.mark.parametrize(
    ("later", "min_valid_for", "asks"),
    [(0, 300, 1), (299, 300, 1), (301, 300, 2), (0, 3600, 1), (11, 3600, 2)],
)
def test_a_kept_token_is_used_while_it_is_good(
    stand_in: StandIn,
    auth: FitTrackAuth,
    clock: SimpleNamespace,
    later: int,
    min_valid_for: int,
    asks: int,
) -> None:
    stand_in.on(TOKEN, token("one"))
    auth.token("member-1", min_valid_for=min_valid_for)
    clock.now += later
    again = auth.token("member-1", min_valid_for=min_valid_for)
    assert len(stand_in.seen(TOKEN)) == asks
    assert again.expires_in == (3600 if asks == 2 else 3600 - later)


def test_a_token_that_is_over_is_not_used(
    stand_in: StandIn, auth: FitTrackAuth, clock: SimpleNamespace
) -> None:
    """Not even shortly after the service had nothing better."""
    stand_in.on(TOKEN, token("one", expires_in=5), token("two"))
    assert value(auth.token("member-1")) == "one"
    assert value(auth.token("member-1")) == "one"
    clock.now += 5
    assert value(auth.token("member-1")) == "two"


def test_what_ends_a_connection_ends_its_token(stand_in: StandIn, auth: FitTrackAuth) -> None:
    stand_in.on(TOKEN, token("one"), token("two"), token("three"))
    stand_in.on("DELETE /api/users/member-1/garmin", done())
    stand_in.on("POST /api/garmin/login", accepted("job"))
    stand_in.on(job("job"), succeeded("job"))
    auth.token("member-1")
    auth.disconnect("member-1")
    assert value(auth.token("member-1")) == "two"
    auth.sign_in("another@example.com", "correct horse", user_id="member-1")
    assert value(auth.token("member-1")) == "three"


def test_each_connection_has_its_own(stand_in: StandIn, auth: FitTrackAuth) -> None:
    stand_in.on(TOKEN, token("one"))
    stand_in.on("POST /api/users/member-2/garmin/token", token("two"))
    assert [value(auth.token(f"member-{n}")) for n in (1, 2, 1)] == ["one", "two", "one"]


def test_threads_ask_once(stand_in: StandIn) -> None:
    release = threading.Event()
    stand_in.on(TOKEN, token("one", held_by=release))
    with FitTrackAuth(stand_in.url, client_key=KEY) as auth, ThreadPoolExecutor(50) as pool:
        asking = [pool.submit(auth.token, "member-1") for _ in range(50)]
        stand_in.wait_for(TOKEN)
        release.set()
        assert {value(future.result(60)) for future in asking} == {"one"}
    assert len(stand_in.seen(TOKEN)) == 1


def test_tasks_ask_once(stand_in: StandIn) -> None:
    stand_in.on(TOKEN, refreshing(retry_after=0), token("one"))

    async def ask() -> list[Token]:
        async with AsyncFitTrackAuth(stand_in.url, client_key=KEY) as auth:
            return await asyncio.gather(*(auth.token("member-1") for _ in range(500)))

    assert {value(answered) for answered in asyncio.run(ask())} == {"one"}
    assert len(stand_in.seen(TOKEN)) == 2


def test_those_who_wait_share_an_error(stand_in: StandIn) -> None:
    stand_in.on(TOKEN, problem(404, "link_not_found"))

    async def ask() -> list[Token | BaseException]:
        async with AsyncFitTrackAuth(stand_in.url, client_key=KEY) as auth:
            asking = (auth.token("member-1") for _ in range(50))
            return await asyncio.gather(*asking, return_exceptions=True)

    assert {type(answered) for answered in asyncio.run(ask())} == {LinkNotFoundError}
    assert len(stand_in.seen(TOKEN)) == 1


def test_another_asks_where_the_first_was_cancelled(stand_in: StandIn) -> None:
    release = threading.Event()
    stand_in.on(TOKEN, token("one", held_by=release), token("two"))

    async def ask() -> Token:
        async with AsyncFitTrackAuth(stand_in.url, client_key=KEY) as auth:
            first = asyncio.create_task(auth.token("member-1"))
            await asyncio.to_thread(stand_in.wait_for, TOKEN)
            second = asyncio.create_task(auth.token("member-1"))
            await asyncio.sleep(0)
            first.cancel()
            return await second

    assert value(asyncio.run(ask())) == "two"
    release.set()


def test_a_waiter_has_a_deadline_of_its_own(stand_in: StandIn) -> None:
    release = threading.Event()
    stand_in.on(TOKEN, token("one", held_by=release))
    with FitTrackAuth(stand_in.url, client_key=KEY) as auth, ThreadPoolExecutor(1) as pool:
        first = pool.submit(auth.token, "member-1")
        stand_in.wait_for(TOKEN)
        with pytest.raises(NoResultInTimeError):
            auth.token("member-1", timeout=0.05)
        release.set()
        assert value(first.result(60)) == "one"
