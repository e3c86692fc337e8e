"""What people bring along: tokens of other programs and keys, in every way, and what is none."""

import base64
import json

from dev.processes import clean_environment
from tests.dev.wire import DI_CLIENT, wire
from tests.end_to_end.client import Json
from tests.end_to_end.flows import Flows, at_once
from tests.end_to_end.watched import member, person, token

IMPORT = "/api/garmin/import"


def come_along(flows: Flows) -> None:
    at_once(
        lambda: _imported(flows, di_tokens(flows, person("plain"))),
        lambda: _imported(flows, json.dumps({"garmin_tokens": di_tokens(flows, person("plain"))})),
        lambda: _imported(flows, garth_dump(flows, person("plain"))),
        lambda: _by_key(flows),
        lambda: _over(flows),
        lambda: _key(flows),
        lambda: _revoked(flows),
        lambda: _unreadable(flows),
        lambda: _by_the_operator(flows),
        lambda: _on_the_command_line(flows),
    )


def di_tokens(flows: Flows, username: str) -> Json:
    """Sign in elsewhere, with garminconnect's tokens."""
    with wire(flows.garmin) as browser:
        issued = browser.di_tokens(username)
    return {
        "di_token": issued["access_token"],
        "di_refresh_token": issued["refresh_token"],
        "di_client_id": DI_CLIENT,
    }


def garth_dump(flows: Flows, username: str) -> str:
    """Sign in elsewhere, with garth's tokens."""
    with wire(flows.garmin) as browser:
        oauth1 = browser.oauth1_token(browser.ticket(username))
        oauth2 = browser.exchange(oauth1).json()
    dump = base64.b64encode(json.dumps([oauth1, oauth2]).encode()).decode()
    return flows.client.note("imported tokens", dump)


def _import(flows: Flows, tokens: object) -> Json:
    reply = flows.client.http.post(IMPORT, json={"tokens": tokens})
    assert reply.status_code == 202, reply.text
    return flows.client.wait(reply.json())


def _imported(flows: Flows, tokens: object) -> None:
    outcome = _import(flows, tokens)
    assert outcome["status"] == "succeeded", outcome
    flows.client.session(outcome)


def _by_key(flows: Flows) -> None:
    """With a Personal API key, until the person revokes it."""
    username = person("plain")
    key = flows.garmin.make_key(username)
    reply = flows.client.http.post(IMPORT, json={"personal_api_key": key})
    assert reply.status_code == 202, reply.text
    outcome = flows.client.wait(reply.json())
    assert outcome["status"] == "succeeded", outcome
    headers = {"Authorization": f"Bearer {outcome['access_token']}"}
    token = flows.client.http.post("/api/garmin/token", headers=headers)
    assert token.json()["access"] == "read"
    flows.garmin.revoke_keys(username)
    again = flows.client.http.post(IMPORT, json={"personal_api_key": key})
    assert flows.client.wait(again.json())["error"]["code"] == "tokens_rejected"


def _over(flows: Flows) -> None:
    """The access token is, so that Garmin renews it."""
    username = person("plain")
    tokens = di_tokens(flows, username)
    flows.garmin.expire_tokens(username)
    _imported(flows, tokens)


def _key(flows: Flows) -> None:
    key = flows.garmin.make_key(person("plain"))
    reply = flows.client.http.post(IMPORT, json={"personal_api_key": key})
    outcome = flows.client.wait(reply.json())
    assert outcome["status"] == "succeeded", outcome


def _revoked(flows: Flows) -> None:
    username = person("plain")
    tokens = di_tokens(flows, username)
    flows.garmin.revoke_tokens(username)
    assert _import(flows, tokens)["error"]["code"] == "tokens_rejected"


def _unreadable(flows: Flows) -> None:
    secrets = [flows.client.note("imported tokens", token()) for _ in range(4)]
    for tokens, code in (
        ({"di_token": secrets[0], "di_refresh_token": secrets[1]}, "tokens_unreadable"),
        (secrets[2], "tokens_unreadable"),
        ({"di_token": secrets[3], "di_client_id": DI_CLIENT}, "tokens_not_renewable"),
    ):
        assert _import(flows, tokens)["error"]["code"] == code
    both = {"tokens": secrets[0], "personal_api_key": secrets[1], secrets[2]: 1}
    assert flows.client.http.post(IMPORT, json=both).status_code == 422


def _by_the_operator(flows: Flows) -> None:
    flows.new_client_key("add", "importer")
    user_id = flows.client.note("user id", member())
    file = flows.stack.folder / "from-a-user.json"
    file.write_text(json.dumps(di_tokens(flows, person("plain"))), encoding="utf-8")
    flows.admin("import", "importer", user_id, str(file))


def _on_the_command_line(flows: Flows) -> None:
    home = flows.stack.folder / "importing"
    (home / ".garminconnect").mkdir(parents=True)
    tokens = json.dumps(di_tokens(flows, person("plain")))
    (home / ".garminconnect" / "garmin_tokens.json").write_text(tokens, encoding="utf-8")
    environment = clean_environment({"HOME": str(home), "XDG_CONFIG_HOME": str(home)})
    flows.run(["fittrack-auth", "import", "--server", flows.stack.url], environment)
    session = json.loads((home / "fittrack-auth/session.json").read_text(encoding="utf-8"))
    flows.client.note("access token", session["access_token"])
