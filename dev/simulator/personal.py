"""Garmin's Personal API: a key is exchanged for an access token that reads for a day."""

from dev.simulator.bearer import unauthorized
from dev.simulator.keys import DAY_S, PersonalKey
from dev.simulator.messages import Request, Response, json_response, text_response
from dev.simulator.rates import limited
from dev.simulator.replies import INFRASTRUCTURE
from dev.simulator.state import State
from dev.simulator.words import Outcome

CLIENT = "PERSONAL_API"
SCOPE = ["PERSONAL_API_READ"]


def exchange(state: State, request: Request) -> Response:
    """`POST …/personal-api-key/token`: the bare JWT, as text."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    key = state.keys.find(value.strip(), state.now()) if scheme.lower() == "apikey" else None
    if key is None or key.account.key is Outcome.WRONG:
        return _dead(state)
    if key.account.key is not Outcome.ACCEPTED:
        return INFRASTRUCTURE[key.account.key]
    return limited(state, key.account) or _exchanged(state, key)


def _exchanged(state: State, key: PersonalKey) -> Response:
    now = state.now()
    token = state.tokens.new_jwt(
        "personal",
        key.account,
        CLIENT,
        now,
        min(now + DAY_S, key.expires_at),
        with_guid=not key.account.key_without_guid,
        scope=SCOPE,
        iss="https://personal.connectapi.garmin.com",
    )
    state.count("key_exchanges", key.account, CLIENT)
    state.issued.record("personal_api_key", key.value)
    state.issued.record("access_token", token.value)
    return text_response(200, token.value)


def _dead(state: State) -> Response:
    status, message = state.settings.dead_key_status, "The key is not valid"
    if status == 401:
        return unauthorized(message)
    return json_response(status, {"message": message, "error": "ForbiddenException"})
