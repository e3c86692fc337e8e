"""The control endpoint. `Simulator` has the same operations as methods."""

from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from dev.simulator.accounts import PASSWORD
from dev.simulator.keys import DAY_S, LIFETIME_DAYS, PersonalKey
from dev.simulator.messages import Request, Response, json_response
from dev.simulator.profile import profile_of
from dev.simulator.sessions import SentCode
from dev.simulator.settings import Fault, Settings
from dev.simulator.state import State


@dataclass(frozen=True)
class Control:
    """The operations of the control endpoint."""

    state: State

    def counters(self) -> dict[str, Any]:
        """Return `{"total": {...}, "by_username": {...}, "by_client": {...}}`."""
        return self.state.counters.snapshot()

    def issued(self) -> dict[str, list[str]]:
        """Return every secret that was issued, by kind."""
        return self.state.issued.snapshot()

    def codes(self, username: str) -> list[SentCode]:
        """Return all codes of this person, oldest first."""
        return list(self.state.codes(username))

    def settings(self) -> dict[str, Any]:
        return self.state.settings.model_dump(mode="json")

    def configure(self, **changes: object) -> dict[str, Any]:
        """Replace the settings named; return all. Raises ValidationError."""
        merged = {**self.state.settings.model_dump(), **changes}
        self.state.configure(Settings.model_validate(merged), changes)
        return self.settings()

    def add_fault(self, **fault: object) -> dict[str, Any]:
        """Append a fault; return all settings. Raises ValidationError."""
        self.state.add_fault(Fault.model_validate(fault))
        return self.settings()

    def account(self, username: str, domain: str = "garmin.com") -> dict[str, Any]:
        """Return an account: its profile and password, and how its sign-in goes."""
        account = self.state.account(username, domain)
        return {**asdict(account), "password": PASSWORD, "profile": profile_of(account)}

    def now(self) -> float:
        """Return the simulated time, in seconds since the epoch."""
        return self.state.now()

    def advance_clock(self, seconds: float) -> float:
        """Move the clock, back if negative; return the new time. Raises ValidationError."""
        self.configure(clock_offset_s=self.state.settings.clock_offset_s + seconds)
        return self.now()

    def expire_codes(self, username: str | None = None) -> int:
        return self.state.sessions.expire_codes(_normalized(username))

    def expire_sessions(self, username: str | None = None) -> int:
        return self.state.sessions.expire(_normalized(username))

    def expire_tokens(self, username: str | None = None) -> int:
        """Expire access tokens, which can still be refreshed; return how many."""
        return self.state.tokens.expire_access(_normalized(username))

    def revoke_tokens(self, username: str | None = None) -> int:
        """Revoke access, OAuth1 and refresh tokens; return how many."""
        return self.state.tokens.revoke(_normalized(username))

    def make_key(self, username: str, days: float = LIFETIME_DAYS) -> PersonalKey:
        """Make a Personal API key that ends after so many days."""
        account = self.state.account(username, "garmin.com")
        key = self.state.keys.make(account, self.state.now() + days * DAY_S)
        self.state.issued.record("personal_api_key", key.value)
        return key

    def revoke_keys(self, username: str | None = None) -> int:
        """Revoke Personal API keys, and the access tokens made of them; return how many keys."""
        self.state.tokens.expire_access(_normalized(username), "personal")
        return self.state.keys.revoke(_normalized(username))

    def reset(self) -> None:
        """Restore the initial settings; drop counters, sessions, codes and tokens."""
        self.state.reset()


async def respond(control: Control, request: Request) -> Response:
    """Respond to a request to the control endpoint."""
    try:
        return _dispatch(control, request)
    except (ValidationError, TypeError) as error:
        return json_response(422, {"error": str(error)})


def _dispatch(control: Control, request: Request) -> Response:
    argument = {**request.query, **request.json}
    username = argument.get("username")
    match request.method, urlsplit(request.target).path:
        case "GET", "/health":
            return json_response(200, {"status": "ok"})
        case "GET", "/counters":
            return json_response(200, control.counters())
        case "GET", "/issued":
            return json_response(200, control.issued())
        case "GET", "/codes":
            return _codes(control, str(username or ""))
        case "GET", "/settings":
            return json_response(200, control.settings())
        case "POST", "/settings":
            return json_response(200, control.configure(**request.json))
        case "POST", "/faults":
            return json_response(200, control.add_fault(**request.json))
        case "GET", "/accounts" if username:
            domain = argument.get("domain", "garmin.com")
            return json_response(200, control.account(username, domain))
        case "GET", "/clock":
            return json_response(200, {"now": control.now()})
        case "POST", "/clock":
            return json_response(200, {"now": control.advance_clock(**request.json)})
        case "POST", "/codes/expire":
            return json_response(200, {"expired": control.expire_codes(username)})
        case "POST", "/sessions/expire":
            return json_response(200, {"expired": control.expire_sessions(username)})
        case "POST", "/tokens/expire":
            return json_response(200, {"expired": control.expire_tokens(username)})
        case "POST", "/tokens/revoke":
            return json_response(200, {"revoked": control.revoke_tokens(username)})
        case "POST", "/keys" if username:
            key = control.make_key(**argument)
            return json_response(200, {"key": key.value, "expires_at": key.expires_at})
        case "POST", "/keys/revoke":
            return json_response(200, {"revoked": control.revoke_keys(username)})
        case "POST", "/reset":
            control.reset()
            return json_response(200, {"status": "reset"})
        case _:
            return json_response(404, {"error": f"no {request.method} {request.path} here"})


def _codes(control: Control, username: str) -> Response:
    codes = control.codes(username)
    if not codes:
        return json_response(404, {"error": "no code for this username"})
    return json_response(200, asdict(codes[-1]))


def _normalized(username: str | None) -> str | None:
    return username.strip().lower() if username else None
