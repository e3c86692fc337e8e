"""Service tickets, and the tokens they are exchanged for."""

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from dataclasses import dataclass

from dev.simulator.accounts import Account


@dataclass
class Ticket:
    """A CAS service ticket. Works once, for the service it was issued for."""

    value: str
    account: Account
    client: str
    service: str
    expires_at: float
    used: bool = False


@dataclass(frozen=True)
class OAuth1Token:
    """garth's long-lived token; has an `mfa_token` if the sign-in needed a code."""

    value: str
    secret: str
    account: Account
    client: str
    mfa_token: str | None
    expires_at: float


@dataclass(frozen=True)
class AccessToken:
    """A bearer token, or the value of a JWT_WEB cookie.

    kind: `oauth2`, `di`, `personal` or `jwt_web`.
    """

    value: str
    kind: str
    account: Account
    client: str
    expires_at: float


@dataclass
class RefreshToken:
    """A DI refresh token. Works once.

    used_at: when it was exchanged. delivered: the answer to that reached the client.
    successor: the refresh token in that answer.
    """

    value: str
    account: Account
    client: str
    di_client: str
    expires_at: float
    used_at: float | None = None
    delivered: bool = False
    successor: str = ""

    def confirm_delivery(self) -> None:
        self.delivered = True


class Tokens:
    """Everything issued, by value."""

    def __init__(self) -> None:
        self._signing_key = secrets.token_bytes(32)
        self._serial = secrets.randbelow(900_000) + 50_000
        self.tickets: dict[str, Ticket] = {}
        self.oauth1: dict[str, OAuth1Token] = {}
        self.access: dict[str, AccessToken] = {}
        self.refresh: dict[str, RefreshToken] = {}
        self.nonces: set[tuple[str, str]] = set()

    def new_ticket(
        self, account: Account, client: str, service: str, expires_at: float, suffix: str
    ) -> Ticket:
        """suffix: `sso` from the JSON flows, `cas` from the widget."""
        self._serial += 1
        value = f"ST-{self._serial:06}-{_letters(20)}-{suffix}"
        ticket = self.tickets[value] = Ticket(value, account, client, service, expires_at)
        return ticket

    def find_ticket(self, value: str, service: str, domain: str, now: float) -> Ticket | None:
        """Return the ticket if it is valid for this service and domain. Does not redeem it."""
        ticket = self.tickets.get(value)
        if ticket is None or ticket.used or ticket.expires_at <= now:
            return None
        return ticket if (ticket.service, ticket.account.domain) == (service, domain) else None

    def new_oauth1(self, ticket: Ticket, expires_at: float) -> OAuth1Token:
        mfa_token = f"MFA-{self._serial}-{_letters(50)}-cas" if ticket.account.method else None
        token = OAuth1Token(
            str(uuid.uuid4()), _letters(35), ticket.account, ticket.client, mfa_token, expires_at
        )
        self.oauth1[token.value] = token
        return token

    def new_jwt(
        self,
        kind: str,
        account: Account,
        client: str,
        issued_at: float,
        expires_at: float,
        *,
        with_guid: bool = True,
        **claims: object,
    ) -> AccessToken:
        """Issue an access token as a JWT, its claims in the recorded order."""
        payload: dict[str, object] = {
            **claims,
            "iat": int(issued_at),
            "exp": int(expires_at),
            "jti": str(uuid.uuid4()),
        }
        if with_guid:
            payload["garmin_guid"] = account.garmin_guid
        token = AccessToken(self._sign(payload), kind, account, client, expires_at)
        self.access[token.value] = token
        return token

    def new_refresh(
        self, account: Account, client: str, di_client: str, expires_at: float
    ) -> RefreshToken:
        value = secrets.token_urlsafe(96)
        token = RefreshToken(value, account, client, di_client, expires_at)
        self.refresh[token.value] = token
        return token

    def expire_access(self, username: str | None = None, kind: str | None = None) -> int:
        """Expire all access tokens, or those of one person or kind; return how many."""
        gone = [
            token
            for token in self.access.values()
            if username in (None, token.account.username) and kind in (None, token.kind)
        ]
        for token in gone:
            del self.access[token.value]
        return len(gone)

    def revoke(self, username: str | None = None) -> int:
        """Revoke all tokens, or one person's, as a change of password does; return how many."""
        usable = [t.value for t in self.refresh.values() if t.used_at is None]
        revoked = [v for v in usable if username in (None, self.refresh[v].account.username)]
        for value in revoked:
            del self.refresh[value]
        oauth1 = [t.value for t in self.oauth1.values() if username in (None, t.account.username)]
        for value in oauth1:
            del self.oauth1[value]
        return self.expire_access(username) + len(revoked) + len(oauth1)

    def _sign(self, payload: dict[str, object]) -> str:
        header = {"alg": "HS256", "typ": "JWT", "kid": "di-oauth-signer-simulated"}
        signed = f"{_encode(json.dumps(header).encode())}.{_encode(json.dumps(payload).encode())}"
        digest = hmac.new(self._signing_key, signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{_encode(digest)}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _letters(length: int) -> str:
    return base64.b64encode(secrets.token_bytes(length), altchars=b"xQ").decode()[:length]
