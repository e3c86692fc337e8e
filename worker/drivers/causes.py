"""Why a request to Garmin got no answer, in words for the operator's log.

Both libraries say it in texts that hold URLs, and so tickets. A cause is one of a few fixed texts.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

_CERTIFICATES: Mapping[str, str] = {
    "expired": "certificate expired",
    "not yet valid": "certificate not yet valid",
    "self-signed": "self-signed certificate",
    "self signed": "self-signed certificate",
    "local issuer": "certificate of an unknown issuer",
    "mismatch": "certificate of another host",
    "no alternative certificate subject name": "certificate of another host",
    "does not match": "certificate of another host",
    "revoked": "certificate revoked",
}
"""By words that OpenSSL or curl has for it."""

_TUNNEL = re.compile(r"tunnel (?:connection )?failed(?:: |, response )(\d{3})", re.IGNORECASE)


@dataclass(frozen=True)
class Cause:
    """`connected`: Garmin may have seen the request. `broken`: it broke off, or was breaking."""

    text: str
    connected: bool = False
    broken: bool = False


DNS = Cause("the name can't be resolved")
REFUSED = Cause("connection refused")
TLS = Cause("TLS: no connection")
AUTHORITIES = Cause("TLS: the file of trusted certificates can't be read")
CONNECT_TIMEOUT = Cause("timeout while connecting")
ANSWER_TIMEOUT = Cause("timeout while waiting for the answer", connected=True)
BODY_TIMEOUT = Cause("timeout while reading the answer", connected=True, broken=True)
CUT_OFF = Cause("cut off", connected=True, broken=True)
NOT_HTTPS = Cause("an answer leads to http://", connected=True, broken=True)
TOO_LARGE = Cause("the answer is too large", connected=True, broken=True)
PROXY_DNS = Cause("proxy: its name can't be resolved")
PROXY_REFUSED = Cause("proxy: connection refused")
PROXY_CUT_OFF = Cause("proxy: cut off")

_CURL: Mapping[int, Cause] = {
    5: PROXY_DNS,
    6: DNS,
    7: REFUSED,
    35: TLS,
    77: AUTHORITIES,
    97: PROXY_CUT_OFF,
}
_CURL_TIMEOUT, _CURL_RECEIVE, _CURL_CERTIFICATE = 28, 56, 60
_CURL_TLS = {53, 54, 58, 59, 66, 80, 82, 83, 90, 91}
"""By the codes of libcurl-errors(3)."""


def of_connecting(error: Exception, *, proxied: bool) -> Cause:
    """Name the cause of what urllib3 raised while it opened a connection."""
    tunnel = _tunnel(str(error))
    if tunnel:
        return tunnel
    match error:
        case NameResolutionError():
            return PROXY_DNS if proxied else DNS
        case NewConnectionError():
            return PROXY_REFUSED if proxied else REFUSED
        case ConnectTimeoutError() | TimeoutError():
            return CONNECT_TIMEOUT
        case ssl.SSLError():
            return _certificate(getattr(error, "verify_message", ""))
        case _:
            return PROXY_CUT_OFF if proxied else TLS


def of_curl(code: int, message: str, *, proxied: bool, has_status: bool) -> Cause:
    """Name the cause of a curl error. `has_status`: the answer had begun."""
    tunnel = _tunnel(message)
    if tunnel:
        return tunnel
    if code == _CURL_TIMEOUT:
        if "Operation timed out" not in message:
            return CONNECT_TIMEOUT
        return BODY_TIMEOUT if has_status else ANSWER_TIMEOUT
    if code == _CURL_CERTIFICATE:
        return _certificate(message)
    if code == _CURL_RECEIVE and "CONNECT" in message:
        return PROXY_CUT_OFF
    if proxied and _CURL.get(code) is REFUSED:
        return PROXY_REFUSED
    return _CURL.get(code, TLS if code in _CURL_TLS else CUT_OFF)


def _certificate(words: str) -> Cause:
    if not words:
        return TLS
    known = (text for key, text in _CERTIFICATES.items() if key in words.lower())
    return Cause(f"TLS: {next(known, 'certificate not accepted')}")


def _tunnel(message: str) -> Cause | None:
    match = _TUNNEL.search(message)
    return Cause(f"proxy: status {match.group(1)}") if match else None
