"""Tokens as people have them, in every form."""

import base64
import json
from typing import Any

from tests.jwts import jwt

ACCESS = jwt(exp=4_000_000_000, iss="https://connectapi.garmin.com")
OAUTH1: dict[str, Any] = {
    "oauth_token": "oauth1-token",
    "oauth_token_secret": "oauth1-secret",
    "mfa_token": None,
    "mfa_expiration_timestamp": None,
    "domain": "garmin.com",
}
OAUTH2: dict[str, Any] = {
    "scope": "CONNECT_READ CONNECT_WRITE",
    "jti": "1234",
    "token_type": "Bearer",
    "access_token": ACCESS,
    "refresh_token": "oauth2-refresh",
    "expires_in": 100_000,
    "expires_at": 3_999_999_999,
    "refresh_token_expires_in": 2_591_999,
    "refresh_token_expires_at": 4_000_000_000,
}
DI: dict[str, Any] = {
    "di_token": jwt(exp=4_000_000_000, iss="https://diauth.garmin.com", client_id="named-by-jwt"),
    "di_refresh_token": "di-refresh",
    "di_client_id": "GARMIN_CONNECT_MOBILE_ANDROID_DI_2025Q2",
}
GARTH_NG = {
    "access_token": DI["di_token"],
    "refresh_token": DI["di_refresh_token"],
    "client_id": DI["di_client_id"],
    "expires_at": 3_999_999_999,
}


def garth_dump(oauth1: object = OAUTH1, oauth2: object = OAUTH2) -> str:
    """What `garth.client.dumps()` returns."""
    return base64.b64encode(json.dumps([oauth1, oauth2]).encode()).decode()


def garth_forms(oauth1: Any = OAUTH1, oauth2: Any = OAUTH2) -> dict[str, str]:  # noqa: ANN401
    dump, pair = garth_dump(oauth1, oauth2), json.dumps([oauth1, oauth2])
    return {
        "dump": dump,
        "dump in lines": "\n".join(dump[at : at + 76] for at in range(0, len(dump), 76)) + "\n",
        "dump without padding": dump.rstrip("="),
        "dump as JSON": json.dumps(dump),
        "dump encoded twice": base64.b64encode(dump.encode()).decode(),
        "pair": pair,
        "pair by names": json.dumps({"oauth1": oauth1, "oauth2": oauth2}),
        "pair by file names": json.dumps(
            {"oauth2_token.json": json.dumps(oauth2), "oauth1_token.json": json.dumps(oauth1)}
        ),
        "pair as JSON": json.dumps(pair),
        "wrapped": json.dumps({"garmin_tokens": dump}),
        "wrapped pair": json.dumps({"garmin_tokens": [oauth1, oauth2]}),
    }


def di_forms(di: Any = DI) -> dict[str, str]:  # noqa: ANN401
    text = json.dumps(di)
    return {
        "file": text,
        "indented": json.dumps(di, indent=4) + "\n",
        "as JSON": json.dumps(text),
        "encoded twice": json.dumps(json.dumps(text)),
        "base64": base64.b64encode(text.encode()).decode(),
        "wrapped": json.dumps({"garmin_tokens": di}),
        "wrapped as JSON": json.dumps({"garmin_tokens": text}),
        "by file name": json.dumps({"garmin_tokens.json": di}),
    }
