"""The words of a username, which say how its sign-in goes.

The local part of a username is read word by word, split at dashes, up to the first unknown word:
`plain-anna@example.com`, `sms-codelocked-7@example.com`, `ticket401-email-bob@example.com`.
"""

import re
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How Garmin responds to credentials or a code."""

    ACCEPTED = "accepted"
    WRONG = "wrong"
    WRONG_WITHOUT_VERDICT = "401"
    LOCKED = "locked"
    LOCKED_IN_MESSAGE = "lockedmessage"
    CAPTCHA = "captcha"
    NEED_CAPTCHA = "needcaptcha"
    CAPTCHA_IN_XML = "captchaxml"
    DISABLED = "disabled"
    MFA_SETUP = "mfasetup"
    RENEW_PASSWORD = "renewpassword"
    CHILD = "child"
    PHONE_NUMBER = "phonenumber"
    CONSENT = "consent"
    NO_MORE_CODES = "limit"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"
    SESSION_EXPIRED = "sessionexpired"
    CONFLICT = "409"
    LIMITED = "limited"
    LIMITED_AFTER = "limited-after"
    LIMITED_IN_BODY = "limitedbody"
    REFUSED_427 = "http427"
    REFUSED_427_IN_BODY = "mfa427"
    CLOUDFLARE = "cloudflare"
    CLOUDFLARE_ATTENTION = "cfattention"
    CLOUDFLARE_DENIED = "cfdenied"
    CLOUDFLARE_1015 = "cf1015"
    CLOUDFLARE_1020 = "cf1020"
    DOWN = "down"
    HANG = "hang"
    CUT_BEFORE = "cut-before"
    CUT_AFTER = "cut-after"
    GARBAGE = "garbage"


class Method(StrEnum):
    """How a code is sent, as in `mfaLastMethodUsed` (only `email` is recorded)."""

    EMAIL = "email"
    SMS = "sms"
    APP = "totp"


_ONLY_AFTER_A_CODE = {
    Outcome.WRONG_WITHOUT_VERDICT,
    Outcome.EXHAUSTED,
    Outcome.EXPIRED,
    Outcome.SESSION_EXPIRED,
    Outcome.CONFLICT,
}
_BOTH = {str(o): o for o in Outcome if o not in (Outcome.ACCEPTED, Outcome.WRONG)}
LOGIN_WORDS = {"wrongpassword": Outcome.WRONG, "nocodes": Outcome.NO_MORE_CODES} | {
    word: outcome
    for word, outcome in _BOTH.items()
    if outcome not in (*_ONLY_AFTER_A_CODE, Outcome.NO_MORE_CODES)
}
CODE_WORDS = {"wrongcode": Outcome.WRONG} | {f"code{word}": o for word, o in _BOTH.items()}
_OF_THE_SERVER = (
    Outcome.LIMITED,
    Outcome.LIMITED_AFTER,
    Outcome.CLOUDFLARE,
    Outcome.CLOUDFLARE_ATTENTION,
    Outcome.CLOUDFLARE_DENIED,
    Outcome.CLOUDFLARE_1015,
    Outcome.CLOUDFLARE_1020,
    Outcome.DOWN,
    Outcome.HANG,
    Outcome.CUT_BEFORE,
    Outcome.GARBAGE,
)
KEY_WORDS = {"keyrevoked": Outcome.WRONG} | {f"key{outcome}": outcome for outcome in _OF_THE_SERVER}
REFRESH_WORDS = {
    "refreshdead": Outcome.WRONG,
    "refresh401": Outcome.WRONG_WITHOUT_VERDICT,
} | {f"refresh{outcome}": outcome for outcome in _OF_THE_SERVER}
METHOD_WORDS = {"email": Method.EMAIL, "sms": Method.SMS, "app": Method.APP}
FLAG_WORDS = {
    "nomfainfo": "without_mfa_info",
    "choosemethod": "chooses_method",
    "ticket401": "ticket_refused",
    "direfused": "di_refused",
    "inactive": "di_inactive",
    "exchange403": "exchange_refused",
    "keyending": "key_is_ending",
    "keynoguid": "key_without_guid",
}
# Each may be followed by how often: `profile500x5`.
COUNT_WORDS = {"profile500": ("profile_failures", 2), "refreshlost": ("lost_refreshes", 1)}
_COUNTED = re.compile(rf"({'|'.join(COUNT_WORDS)})(?:x(\d+))?")
WORDS = (
    *METHOD_WORDS,
    *LOGIN_WORDS,
    *CODE_WORDS,
    *REFRESH_WORDS,
    *KEY_WORDS,
    *FLAG_WORDS,
    *COUNT_WORDS,
)


def settings_of(local_part: str) -> dict[str, Any]:
    """Return the fields of an account that the words set."""
    settings: dict[str, Any] = {}
    words = local_part.split("-")
    while words:
        # Some words contain a dash: try the first two as one.
        for length in (2, 1):
            if (setting := _setting("-".join(words[:length]))) is not None:
                settings |= setting
                words = words[length:]
                break
        else:
            break
    return settings


def _setting(word: str) -> dict[str, Any] | None:
    if word in METHOD_WORDS:
        return {"method": METHOD_WORDS[word]}
    if word in LOGIN_WORDS:
        return {"login": LOGIN_WORDS[word]}
    if word in CODE_WORDS:
        return {"code": CODE_WORDS[word]}
    if word in FLAG_WORDS:
        return {FLAG_WORDS[word]: True}
    if word in REFRESH_WORDS:
        return {"refresh": REFRESH_WORDS[word]}
    if word in KEY_WORDS:
        return {"key": KEY_WORDS[word]}
    if match := _COUNTED.fullmatch(word):
        field, default = COUNT_WORDS[match[1]]
        return {field: int(match[2] or default)}
    return None
