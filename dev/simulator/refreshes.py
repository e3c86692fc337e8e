"""How the refresh of an account's tokens goes, with either library."""

from dev.simulator.accounts import Account
from dev.simulator.messages import Delivery, Response, html_response, undelivered
from dev.simulator.replies import INFRASTRUCTURE, UNAUTHORIZED_PAGE
from dev.simulator.state import State
from dev.simulator.words import Outcome


def refused_refresh(account: Account, dead: Response) -> Response | None:
    """Return the refusal of a refresh; None if it goes well. dead: the one of a dead token."""
    match account.refresh:
        case Outcome.ACCEPTED:
            return None
        case Outcome.WRONG:
            return dead
        case Outcome.WRONG_WITHOUT_VERDICT:
            return html_response(401, UNAUTHORIZED_PAGE)
        case outcome:
            return INFRASTRUCTURE[outcome]


def lost_or(state: State, account: Account, response: Response) -> Response:
    """Return the response, or cut the connection if the account loses this one."""
    return undelivered(Delivery.CUT) if state.refresh_is_lost(account) else response
