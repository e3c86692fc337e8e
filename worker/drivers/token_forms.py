"""The forms in which people have tokens of other programs, recognised by their structure.

- garth: base64 of the JSON list `[OAuth1, OAuth2]`, or the two objects in any list or object
- garminconnect: `{"di_token", "di_refresh_token", "di_client_id"}`
- garth-ng: one OAuth2 object with `client_id`, which holds DI tokens

Each also as a JSON string, inside another object (`{"garmin_tokens": …}`), or encoded twice. What
is in them is foreign: nothing of it is used but texts that can stand in a header.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from shared.garmin.imports import (
    RenewalOverError,
    TokensNotRenewableError,
    TokensUnreadableError,
    WrongDomainError,
)
from shared.garmin.types import GarminDomain, GarminTokens
from worker.drivers.di import DiTokens
from worker.drivers.stored import claims, expiry

_DEPTH = 8
"""How many lists, objects and encodings are looked into."""

_DI = frozenset({"di_token", "di_refresh_token", "di_client_id"})
_OAUTH1 = frozenset({"oauth_token", "oauth_token_secret"})
_OAUTH2 = frozenset({"access_token", "refresh_token"})

_GARTH_FORM = "garth's tokens"
_DI_FORM = "garminconnect's tokens"

_GARTH = "garth"
_OAUTH1_LIFETIME = timedelta(days=365)
_HEADER_TEXT = re.compile(r"[!-~]{1,16384}")

_OURS = "kept-by-fittrack-auth"
"""Stands in place of secrets where our client writes an access token as a library's file."""

type _Json = Mapping[str, Any]


def read_tokens(text: str, domain: GarminDomain | None) -> GarminTokens:
    """Return the tokens that a text holds, as their driver stores them.

    `domain` is the one that the sender named, if any. Raises TokensUnreadableError,
    TokensNotRenewableError, WrongDomainError.
    """
    parts = _Parts()
    for found in _objects(text):
        parts.add(found)
    if parts.is_mixed:
        fault = "it holds tokens of more than one sign-in"
        raise TokensUnreadableError(_DI_FORM if parts.di else _GARTH_FORM, fault)
    if parts.di:
        return _di_tokens(parts.di[0], "di_token", "di_refresh_token", "di_client_id", domain)
    if parts.oauth2 and not parts.oauth1 and "client_id" in parts.oauth2[0]:
        names = ("access_token", "refresh_token", "client_id")
        return _di_tokens(parts.oauth2[0], *names, domain)
    if parts.oauth1 or parts.oauth2:
        return _garth_tokens(parts, domain)
    raise TokensUnreadableError


@dataclass
class _Parts:
    """The objects that were found, each once."""

    di: list[_Json] = field(default_factory=list)
    oauth1: list[_Json] = field(default_factory=list)
    oauth2: list[_Json] = field(default_factory=list)

    def add(self, found: _Json) -> None:
        names = found.keys()
        kind = self.di if _DI & names else self.oauth1 if _OAUTH1 & names else self.oauth2
        plain = {name: value for name, value in found.items() if not isinstance(value, dict | list)}
        if plain not in kind:
            kind.append(plain)

    @property
    def is_mixed(self) -> bool:
        several = max(map(len, (self.di, self.oauth1, self.oauth2))) > 1
        return several or bool(self.di and (self.oauth1 or self.oauth2))


def _objects(value: object, depth: int = _DEPTH) -> Iterator[_Json]:
    """Yield the objects with names of tokens in them, whatever is around them."""
    if not depth:
        return
    match value:
        case str():
            yield from _objects(_decoded(value), depth - 1)
        case dict() if (_DI | _OAUTH1 | _OAUTH2) & value.keys():
            yield value
        case dict():
            for inner in value.values():
                yield from _objects(inner, depth - 1)
        case list():
            for inner in value:
                yield from _objects(inner, depth - 1)


def _decoded(text: str) -> object:
    """Return the JSON that a text is, or the text that is in its base64; None if it is neither."""
    text = text.removeprefix("\ufeff")
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return _from_base64(text)
    return value


def _from_base64(text: str) -> str | None:
    encoded = re.sub(r"\s", "", text).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
    except ValueError:
        return None


def _di_tokens(
    found: _Json, token: str, refresh_token: str, client_id: str, domain: GarminDomain | None
) -> GarminTokens:
    """The names are those that the form gives the fields."""
    access = _required(found, token, _DI_FORM)
    if found.get(refresh_token) in (None, ""):
        raise TokensNotRenewableError
    named = claims(access).get("client_id") if found.get(client_id) in (None, "") else None
    tokens = DiTokens(
        di_token=access,
        di_refresh_token=_required(found, refresh_token, _DI_FORM),
        di_client_id=_required({client_id: named} if named else found, client_id, _DI_FORM),
    )
    return tokens.packed(_domain(domain, access))


def _garth_tokens(parts: _Parts, domain: GarminDomain | None) -> GarminTokens:
    if not parts.oauth2:
        raise TokensUnreadableError(_GARTH_FORM, "the OAuth2 token (oauth2_token.json) is missing")
    oauth2 = parts.oauth2[0]
    access = _required(oauth2, "access_token", _GARTH_FORM)
    if not parts.oauth1 or parts.oauth1[0].get("oauth_token") == _OURS:
        raise TokensNotRenewableError
    oauth1, now = parts.oauth1[0], datetime.now(UTC)
    ends_at = _moment(oauth1.get("mfa_expiration_timestamp"))
    if ends_at is not None and ends_at <= now:
        raise RenewalOverError
    kept = {
        "oauth_token": _required(oauth1, "oauth_token", _GARTH_FORM),
        "oauth_token_secret": _required(oauth1, "oauth_token_secret", _GARTH_FORM),
        "mfa_token": _header_text(oauth1.get("mfa_token")),
        "mfa_expiration_timestamp": ends_at.isoformat() if ends_at else None,
    }
    longest = now + _OAUTH1_LIFETIME
    return GarminTokens(
        driver=_GARTH,
        domain=_domain(domain, access, oauth1.get("domain")),
        data=SecretStr(json.dumps({"oauth1": kept, "oauth2": {"access_token": access}})),
        # Where nothing says so, it counts as over: another one costs nothing.
        access_expires_at=_earliest(expiry(access), _moment(oauth2.get("expires_at"))) or now,
        refresh_expires_at=_earliest(ends_at, longest) or longest,
    )


def _required(found: _Json, name: str, form: str) -> str:
    text = _header_text(found.get(name))
    if text is None:
        raise TokensUnreadableError(form, f"{name} is missing or is no token")
    return text


def _header_text(value: object) -> str | None:
    return value if isinstance(value, str) and _HEADER_TEXT.fullmatch(value) else None


def _moment(value: object) -> datetime | None:
    """Read seconds since the epoch, or an ISO time, in UTC where it does not say."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _domain(named: GarminDomain | None, access: str, own: object = None) -> GarminDomain:
    """Return the domain that the sender and the tokens name. Raises WrongDomainError."""
    own = own if isinstance(own, str) else None
    stated = {value for value in (own, _issuer(access), named) if value}
    if not stated:
        return GarminDomain.COM
    domain, *others = stated
    if others or domain not in list(GarminDomain):
        raise WrongDomainError
    return GarminDomain(str(domain))


def _issuer(access: str) -> str | None:
    """Return which of Garmin's systems a JWT says that it is from, if any."""
    issuer = claims(access).get("iss")
    try:
        host = urlsplit(issuer).hostname if isinstance(issuer, str) else None
    except ValueError:
        return None
    domain = ".".join((host or "").rsplit(".", 2)[-2:])
    return domain if domain in list(GarminDomain) else None
