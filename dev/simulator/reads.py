"""Reads of an account's data, with the bearer token of whichever API was asked."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from dev.simulator.accounts import Account
from dev.simulator.bearer import authorized
from dev.simulator.messages import Request, Response, json_response
from dev.simulator.rates import limited
from dev.simulator.state import State


def read(state: State, request: Request, answer: Callable[[Account], Response]) -> Response:
    """Answer the owner of the token; counted if that succeeds."""
    token = authorized(state, request)
    if isinstance(token, Response):
        return token
    refusal = limited(state, token.account) if token.kind == "personal" else None
    if refusal is not None:
        return refusal
    response = answer(token.account)
    if response.status == 200:
        state.count("data_reads", token.account, token.client)
    return response


def yesterday(state: State) -> date:
    """The last day that is over, by the simulated clock: the newest one with data."""
    return datetime.fromtimestamp(state.now(), UTC).date() - timedelta(days=1)


def bad_request(message: str) -> Response:
    return json_response(400, {"message": message, "error": "BadRequestException"})


def not_found(message: str) -> Response:
    return json_response(404, {"message": message, "error": "NotFoundException"})
