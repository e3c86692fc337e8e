"""What Garmin says of a person whom it does not let in, in the JSON flows and in the widget.

Each of the two is known for some of these only; the other one is a guess, made of the same words.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dev.simulator.words import Outcome

SIGN_IN_TITLE = "GARMIN Authentication Application"


@dataclass(frozen=True)
class Verdict:
    """JSON flows: `status`, `type`, `message`. Widget: `page_status`, `title`, `var status`."""

    status: int
    type: str
    message: str
    title: str = SIGN_IN_TITLE
    script_status: str = ""
    page_status: int = 200


VERDICTS: Mapping[Outcome, Verdict] = {
    Outcome.LOCKED: Verdict(
        401, "ACCOUNT_LOCKED", "generalLoginAccountLocked", title="Account Locked"
    ),
    Outcome.LOCKED_IN_MESSAGE: Verdict(
        401, "FAILED", "generalLoginAccountLocked", script_status="ACCOUNT_LOCKED"
    ),
    Outcome.CAPTCHA: Verdict(
        200,
        "CAPTCHA_REQUIRED",
        "captchaRequired",
        script_status="CAPTCHA_REQUIRED",
        page_status=401,
    ),
    Outcome.NEED_CAPTCHA: Verdict(200, "NEED_CAPTCHA", "", script_status="NEED_CAPTCHA"),
    Outcome.DISABLED: Verdict(
        401,
        "FAILED",
        "generalLoginAccountDisabled",
        script_status="generalLoginAccountDisabled",
    ),
    Outcome.MFA_SETUP: Verdict(
        401,
        "FAILED",
        "generalLoginPermanentMFARequired",
        script_status="generalLoginPermanentMFARequired",
    ),
    Outcome.RENEW_PASSWORD: Verdict(200, "FAILED", "renewPassword", script_status="renewPassword"),
    Outcome.CHILD: Verdict(403, "FAILED", "unableToSignIn", title="Unable To Sign In"),
    Outcome.PHONE_NUMBER: Verdict(200, "FAILED", "updatePhoneNumber", title="Update Phone Number"),
    Outcome.CONSENT: Verdict(200, "SUCCESSFUL", "", title="Privacy Policy Update"),
    Outcome.NO_MORE_CODES: Verdict(401, "MFA_CODE_MAX_LIMIT", "codeEntryMaxLimit"),
    Outcome.EXHAUSTED: Verdict(401, "TOO_MANY_ATTEMPTS", "", title="Too Many Attempts"),
    Outcome.EXPIRED: Verdict(401, "MFA_CODE_EXPIRED", "codeEntryExpired"),
    Outcome.SESSION_EXPIRED: Verdict(
        401, "SESSION_EXPIRED", "sessionExpired", title="Session Expired", page_status=401
    ),
}
