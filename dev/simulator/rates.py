"""How many requests one person may send to the Personal API."""

import math
from collections import deque

from dev.simulator.accounts import Account
from dev.simulator.messages import Response
from dev.simulator.replies import rate_limited
from dev.simulator.state import State


def limited(state: State, account: Account) -> Response | None:
    """Count a request; return a 429 with `Retry-After` instead if it is one too many."""
    now, window = state.now(), state.settings.personal_window_s
    times = state.personal_requests.setdefault(account, deque())
    while times and times[0] <= now - window:
        times.popleft()
    if len(times) < state.settings.personal_limit:
        times.append(now)
        return None
    return rate_limited(max(1, math.ceil(times[0] + window - now)))
