"""Sign-ins under way: the SSO session behind the SESSION cookie, and the code it waits for."""

import base64
import secrets
import uuid
from dataclasses import dataclass, field

from dev.simulator.accounts import Account


@dataclass(frozen=True)
class SentCode:
    """A code as its person received it; for an authenticator app, the one it shows."""

    username: str
    code: str
    method: str
    destination: str | None
    sent_at: float
    number: int


@dataclass
class Challenge:
    """A code that is asked for."""

    account: Account
    codes: dict[str, float] = field(default_factory=dict)
    sent_at: float | None = None
    wrong_codes: int = 0
    done: bool = False

    def is_right(self, code: str, now: float) -> bool:
        return self.codes.get(code, 0) > now and not self.done

    def is_expired(self, now: float) -> bool:
        return bool(self.codes) and max(self.codes.values()) <= now


@dataclass
class SsoSession:
    """What Garmin knows of one SESSION cookie. `service` is the one signed in for."""

    cookie: str
    domain: str
    client: str
    expires_at: float
    service: str = ""
    csrf: str = ""
    account: Account | None = None
    challenge: Challenge | None = None
    login_token: str = ""


class SsoSessions:
    """The sessions by cookie; each belongs to one domain."""

    def __init__(self) -> None:
        self._sessions: dict[str, SsoSession] = {}

    def open(self, domain: str, client: str, expires_at: float) -> SsoSession:
        cookie = base64.b64encode(str(uuid.uuid4()).encode()).decode().rstrip("=")
        csrf = secrets.token_hex(46).upper()
        session = SsoSession(cookie, domain, client, expires_at, csrf=csrf)
        self._sessions[cookie] = session
        return session

    def find(self, cookie: str | None, domain: str, now: float) -> SsoSession | None:
        session = self._sessions.get(cookie or "")
        if session is None or session.domain != domain or session.expires_at <= now:
            return None
        return session

    def expire(self, username: str | None = None) -> int:
        """Forget the sessions of one person, or all of them; returns how many."""
        gone = [
            cookie
            for cookie, session in self._sessions.items()
            if username is None or (session.account and session.account.username == username)
        ]
        for cookie in gone:
            del self._sessions[cookie]
        return len(gone)

    def expire_codes(self, username: str | None = None) -> int:
        """Let every open code run out, of one person or of all; returns how many challenges."""
        challenges = [
            session.challenge
            for session in self._sessions.values()
            if session.challenge is not None
            and username in (None, session.challenge.account.username)
        ]
        for challenge in challenges:
            challenge.codes = dict.fromkeys(challenge.codes, 0.0)
        return len(challenges)
