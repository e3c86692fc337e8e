"""The control endpoint: what tests read and change. The simulator in a process has the same."""

from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from dev.simulator.accounts import PASSWORD
from dev.simulator.messages import Request, Response, json_response
from dev.simulator.profile import profile_of
from dev.simulator.sessions import SentCode
from dev.simulator.settings import Fault, Settings
from dev.simulator.world import World


@dataclass(frozen=True)
class Control:
    """Everything a test may do to this Garmin."""

    world: World

    def counters(self) -> dict[str, Any]:
        """`{"total": {...}, "by_username": {...}, "by_client": {...}}`."""
        return self.world.counters.snapshot()

    def issued(self) -> dict[str, list[str]]:
        """Every secret that was handed out, by kind."""
        return self.world.issued.snapshot()

    def codes(self, username: str) -> list[SentCode]:
        """Every code made for this person, the oldest first."""
        return list(self.world.codes(username))

    def settings(self) -> dict[str, Any]:
        return self.world.settings.model_dump(mode="json")

    def configure(self, **changes: object) -> dict[str, Any]:
        """Change settings, one top-level name at a time. Raises ValidationError."""
        merged = {**self.world.settings.model_dump(), **changes}
        self.world.configure(Settings.model_validate(merged), changes)
        return self.settings()

    def add_fault(self, **fault: object) -> dict[str, Any]:
        """One more fault after those there are. Raises ValidationError."""
        self.world.add_fault(Fault.model_validate(fault))
        return self.settings()

    def account(self, username: str, domain: str = "garmin.com") -> dict[str, Any]:
        """Who goes by this name: the profile, the password, and what awaits them."""
        account = self.world.account(username, domain)
        return {**asdict(account), "password": PASSWORD, "profile": profile_of(account)}

    def expire_codes(self, username: str | None = None) -> int:
        return self.world.sessions.expire_codes(_normal(username))

    def expire_sessions(self, username: str | None = None) -> int:
        return self.world.sessions.expire(_normal(username))

    def expire_tokens(self, username: str | None = None) -> int:
        """Access tokens only: refreshing goes on working."""
        return self.world.tokens.expire_access(_normal(username))

    def revoke_tokens(self, username: str | None = None) -> int:
        """Access, OAuth1 and refresh tokens: only signing in again helps."""
        return self.world.tokens.revoke(_normal(username))

    def reset(self) -> None:
        """Counters, sessions, tokens and settings, back to how the simulator started."""
        self.world.reset()


async def answer(control: Control, request: Request) -> Response:
    """One request to the control endpoint."""
    try:
        return _answer(control, request)
    except (ValidationError, TypeError) as error:
        return json_response(422, {"error": str(error)})


def _answer(control: Control, request: Request) -> Response:
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
        case "POST", "/codes/expire":
            return json_response(200, {"expired": control.expire_codes(username)})
        case "POST", "/sessions/expire":
            return json_response(200, {"expired": control.expire_sessions(username)})
        case "POST", "/tokens/expire":
            return json_response(200, {"expired": control.expire_tokens(username)})
        case "POST", "/tokens/revoke":
            return json_response(200, {"revoked": control.revoke_tokens(username)})
        case "POST", "/reset":
            control.reset()
            return json_response(200, {"status": "reset"})
        case _:
            return json_response(404, {"error": f"no {request.method} {request.path} here"})


def _codes(control: Control, username: str) -> Response:
    codes = control.codes(username)
    if not codes:
        return json_response(404, {"error": "no code was sent to this username"})
    return json_response(200, asdict(codes[-1]))


def _normal(username: str | None) -> str | None:
    return username.strip().lower() if username else None
