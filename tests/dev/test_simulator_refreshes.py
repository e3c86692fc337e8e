"""How the simulated Garmin refreshes tokens: rotation, lost answers, refusals, lifetimes."""

import pytest
import requests

from dev.simulator import Simulator
from tests.dev.wire import Wire, wire

PLAIN = "plain-anna@example.com"
CUT = (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)


def refreshes(garmin: Simulator) -> tuple[int, int, int]:
    counted = garmin.counters()["total"]
    names = ("di_refreshes", "di_refreshes_reused", "di_refreshes_repeated")
    return counted[names[0]], counted[names[1]], counted[names[2]]


def is_dead(reply: requests.Response) -> bool:
    return reply.status_code == 400 and reply.json()["error"] == "invalid_grant"


def garth_tokens(client: Wire, username: str) -> dict[str, str]:
    return client.oauth1_token(client.ticket(username))


def test_a_refresh_token_that_was_used_is_counted_and_refused(
    client: Wire, garmin: Simulator
) -> None:
    first = client.di_tokens(PLAIN)["refresh_token"]
    second = client.refresh_at_di(first).json()["refresh_token"]
    assert refreshes(garmin) == (1, 0, 0)
    assert is_dead(client.refresh_at_di(first))
    assert refreshes(garmin) == (1, 1, 0)
    assert garmin.count("di_refreshes_reused", PLAIN) == 1
    assert client.refresh_at_di(second).status_code == 200
    assert is_dead(client.refresh_at_di("never issued"))
    assert refreshes(garmin) == (2, 1, 0)


@pytest.mark.parametrize("kind", ["cut", "cut_body", "html", "status"])
def test_a_lost_answer_uses_the_token_up(client: Wire, garmin: Simulator, kind: str) -> None:
    token = client.di_tokens(PLAIN)["refresh_token"]
    garmin.add_fault(kind=kind, path="/di-oauth2-service/*", when="after", times=1)
    if kind.startswith("cut"):
        with pytest.raises(CUT):
            client.refresh_at_di(token)
    else:
        client.refresh_at_di(token)
    assert is_dead(client.refresh_at_di(token))
    assert refreshes(garmin) == (1, 0, 1)


def test_an_answer_is_lost_if_the_client_has_gone_before_it_is_sent(garmin: Simulator) -> None:
    garmin.configure(latency_by_path={"/di-oauth2-service/*": 300})
    with wire(garmin) as client:
        token = client.di_tokens(PLAIN)["refresh_token"]
        client.timeout = 0.1
        with pytest.raises(requests.exceptions.ReadTimeout):
            client.refresh_at_di(token)
    with wire(garmin) as client:
        # This takes as long as the answer above, so that one has been sent when it returns.
        client.refresh_at_di("never issued")
        assert is_dead(client.refresh_at_di(token))
    assert refreshes(garmin) == (1, 0, 1)


def test_an_account_loses_its_first_answers(client: Wire, garmin: Simulator) -> None:
    garmin.configure(refresh_grace_s=60)
    token = client.di_tokens("refreshlostx2-bob@example.com")["refresh_token"]
    for _ in range(2):
        with pytest.raises(CUT):
            client.refresh_at_di(token)
    assert client.refresh_at_di(token).status_code == 200
    assert refreshes(garmin) == (3, 0, 2)


def test_in_the_grace_a_token_works_again_until_its_successor_is_used(
    client: Wire, garmin: Simulator
) -> None:
    garmin.configure(refresh_grace_s=60)
    token = client.di_tokens(PLAIN)["refresh_token"]
    dropped = client.refresh_at_di(token).json()["refresh_token"]
    kept = client.refresh_at_di(token).json()["refresh_token"]
    assert is_dead(client.refresh_at_di(dropped))
    assert client.refresh_at_di(kept).status_code == 200
    assert is_dead(client.refresh_at_di(token))
    assert refreshes(garmin) == (3, 2, 0)


def test_the_grace_ends(client: Wire, garmin: Simulator) -> None:
    garmin.configure(refresh_grace_s=60)
    token = client.di_tokens(PLAIN)["refresh_token"]
    client.refresh_at_di(token)
    garmin.advance_clock(61)
    assert is_dead(client.refresh_at_di(token))


def test_refresh_tokens_expire_with_the_simulated_clock(client: Wire, garmin: Simulator) -> None:
    tokens = client.di_tokens(PLAIN)
    garmin.advance_clock(tokens["refresh_token_expires_in"] - 60)
    later = client.refresh_at_di(tokens["refresh_token"]).json()
    assert client.profile(later["access_token"]).status_code == 200
    garmin.advance_clock(later["refresh_token_expires_in"] + 60)
    assert is_dead(client.refresh_at_di(later["refresh_token"]))


def test_oauth1_tokens_expire_with_the_simulated_clock(client: Wire, garmin: Simulator) -> None:
    token = garth_tokens(client, PLAIN)
    garmin.advance_clock(364 * 86400)
    assert client.profile(client.exchange(token).json()["access_token"]).status_code == 200
    garmin.advance_clock(2 * 86400)
    assert client.exchange(token).status_code == 401


REFUSALS = {
    "refresh401": (401, "text/html"),
    "refreshcloudflare": (403, "text/html"),
    "refreshlimited-after": (429, "application/json"),
    "refreshdown": (503, "text/html"),
    "refreshgarbage": (200, "application/json"),
}


@pytest.mark.parametrize("word", REFUSALS)
def test_a_refused_refresh_leaves_the_token_alone(
    client: Wire, garmin: Simulator, word: str
) -> None:
    username = f"{word}-bob@example.com"
    refused = client.refresh_at_di(client.di_tokens(username)["refresh_token"])
    exchanged = client.exchange(garth_tokens(client, username))
    for reply in (refused, exchanged):
        content_type = reply.headers["Content-Type"].partition(";")[0]
        assert (reply.status_code, content_type) == REFUSALS[word]
    assert refused.headers.get("Retry-After") == ("120" if word.endswith("after") else None)
    assert refreshes(garmin) == (0, 0, 0)


def test_a_dead_connection_is_refused_for_good(client: Wire) -> None:
    username = "refreshdead-bob@example.com"
    assert is_dead(client.refresh_at_di(client.di_tokens(username)["refresh_token"]))
    token = garth_tokens(client, username)
    assert client.exchange(token, "audience=x").status_code == 200
    assert client.exchange(token).status_code == 401


def test_the_oauth2_exchange_is_refused(client: Wire) -> None:
    token = garth_tokens(client, "exchange403-bob@example.com")
    assert client.exchange(token, "audience=x").status_code == 403
    assert client.exchange(token).status_code == 403


def test_refreshes_alone_are_refused(client: Wire, garmin: Simulator) -> None:
    refusal = {"status": 429, "retry_after": 60, "at": ["refresh"]}
    garmin.configure(refuse={"di": refusal, "oauth2": refusal})
    tokens, token = client.di_tokens(PLAIN), garth_tokens(client, PLAIN)
    assert client.exchange(token, "audience=x").status_code == 200
    for reply in (client.exchange(token), client.refresh_at_di(tokens["refresh_token"])):
        assert (reply.status_code, reply.headers["Retry-After"]) == (429, "60")


def test_revocation_ends_every_token_of_one_person(client: Wire, garmin: Simulator) -> None:
    tokens, token = client.di_tokens(PLAIN), garth_tokens(client, PLAIN)
    other = client.di_tokens("plain-bob@example.com")
    assert garmin.revoke_tokens(PLAIN) == 3
    assert client.profile(tokens["access_token"]).status_code == 401
    assert is_dead(client.refresh_at_di(tokens["refresh_token"]))
    assert client.exchange(token).status_code == 401
    assert client.refresh_at_di(other["refresh_token"]).status_code == 200
