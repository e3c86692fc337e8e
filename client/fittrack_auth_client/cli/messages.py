"""One table: every error code, what a person can do about it, and the exit code."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import overload

from fittrack_auth_client.errors import FitTrackAuthError


class ExitCode(IntEnum):
    DONE = 0
    REFUSED = 1
    USAGE = 2
    SERVICE = 3
    BUG = 70
    CANCELLED = 130


@dataclass(frozen=True)
class Advice:
    text: str
    exit_code: ExitCode


def _refused(text: str) -> Advice:
    return Advice(text, ExitCode.REFUSED)


def _usage(text: str) -> Advice:
    return Advice(text, ExitCode.USAGE)


def _service(text: str) -> Advice:
    return Advice(text, ExitCode.SERVICE)


FROM_GARMIN: dict[str, Advice] = {
    "invalid_credentials": _refused(
        "Garmin did not accept this username and password. Check both (and --domain, if the "
        "account is a garmin.cn one), then log in again."
    ),
    "mfa_code_invalid": _refused("Garmin did not accept this code."),
    "mfa_attempts_exhausted": _refused(
        "Too many wrong codes: this sign-in is over. Log in again to get a new code."
    ),
    "account_locked": _refused(
        "Garmin has locked this account. Open Garmin Connect in a browser, follow what it says "
        "there, then log in again."
    ),
    "captcha_required": _refused(
        "Garmin wants to see a person first. Sign in to Garmin Connect once in a browser, solve "
        "the puzzle there, then log in again."
    ),
    "garmin_action_required": _refused(
        "Garmin wants something finished first. Sign in at https://connect.garmin.com in a "
        "browser, do what it asks (consent, phone number, new password), then log in again."
    ),
    "garmin_rate_limited": _refused(
        "Garmin refuses this sign-in for now. Leave it alone for a while: more attempts make it "
        "longer."
    ),
    "garmin_unavailable": _refused(
        "Garmin does not answer as it should. This is on its side and usually passes."
    ),
    "garmin_unreachable": _refused(
        "The service could not reach Garmin. If it stays like this, tell the person who runs it."
    ),
    "tokens_rejected": _refused(
        "Garmin does not accept these tokens, or this key. Log in, or make a new key."
    ),
    "tokens_unreadable": _refused("There are no tokens here that could be imported."),
    "tokens_not_renewable": _refused(
        "These tokens hold nothing to renew them with, or its time is over. Log in instead."
    ),
    "wrong_domain": _refused("These tokens are for another domain. Check --domain."),
    "interrupted": _refused(
        "The sign-in was interrupted half-way: by a fault of the service, or because Garmin was "
        "disconnected meanwhile. Log in again."
    ),
    "timed_out": _refused(
        "The sign-in took too long, or its time to enter a code at Garmin is over. Log in again."
    ),
}

FROM_SERVICE: dict[str, Advice] = {
    "invalid_request": _usage("The service did not accept what was sent. Check what you entered."),
    "payload_too_large": _usage("What you entered is too long for the service."),
    "unsupported_media_type": _service(
        "The service does not speak this program's language: their versions may not fit."
    ),
    "not_found": _service(
        "A service answers here, but not at this path. Check --server or FITTRACK_SERVER: leave "
        "out /api, /docs and the like."
    ),
    "unauthorized": _refused("This session is over. Log in with: fittrack-auth login"),
    "sign_in_required": _refused(
        "Garmin no longer renews this connection. Connect it again; your own with: "
        "fittrack-auth login"
    ),
    "link_not_found": _refused(
        "No Garmin account is connected, or no longer. Connect one; your own with: "
        "fittrack-auth login"
    ),
    "scope_missing": _refused("Whoever runs this service does not allow this."),
    "job_not_found": _refused(
        "There is no such job, or it has expired, or the poll token is not the one for it. "
        "For a sign-in, log in again."
    ),
    "job_not_cancellable": _refused("This sign-in has ended: it is too late to cancel it."),
    "challenge_not_found": _refused(
        "This sign-in no longer waits for a code: it expired, was finished or was used up. "
        "Log in again to get a new code."
    ),
    "challenge_busy": _service(
        "Another code for this sign-in is still being checked. Log in again in a moment."
    ),
    "connect_session_not_found": _refused("There is no such connect session, or it is long over."),
    "connect_session_ended": _refused("This connect session is over. Create another one."),
    "resend_not_possible": _refused(
        "Garmin can't send this code again, or not yet. Enter the last one, or log in again."
    ),
    "sign_in_in_progress": _service(
        "Another sign-in for this account is under way. Wait until it has ended, then log in again."
    ),
    "rate_limited": _service("The service limits how often this may be asked: it was too often."),
    "service_unavailable": _service(
        "The service is up but can't work just now. If it stays like this, tell the person who "
        "runs it."
    ),
    "internal_error": _service(
        "The service has made a mistake. The person who runs it finds it in the log."
    ),
}

FROM_HERE: dict[str, Advice] = {
    "service_unreachable": _service(
        "The service can't be reached. Is it running, and is the address right (--server or "
        "FITTRACK_SERVER)?"
    ),
    "answer_lost": _service(
        "The service did not answer, so it can't be known whether a sign-in began. Wait a minute, "
        "then log in again."
    ),
    "tls_failed": _service(
        "No secure connection to the service can be made. Check the address; for a certificate of "
        "your own, name your authority's file in SSL_CERT_FILE."
    ),
    "unexpected_answer": _service(
        "What answers at this address does not speak like this service. Check --server or "
        "FITTRACK_SERVER, and what stands in front of it."
    ),
    "client_key_needed": _refused(
        "This is for known apps alone. Put the app's key, which whoever runs the service gives "
        "you, into FITTRACK_CLIENT_KEY."
    ),
    "no_result_in_time": _service("There was no result in time. Run the command again."),
    "code_not_in_time": _refused(
        "The code was not entered in time. Log in again to get a new code."
    ),
    "not_signed_in": _refused("Not signed in. Log in with: fittrack-auth login"),
    "other_server": _refused("The stored session belongs to another server."),
    "others_left_open": _refused(
        "This session had already ended, so the others could not be closed. The session file is "
        "gone. Log in once more, then: fittrack-auth logout --everywhere"
    ),
    "bad_server": _usage("This is not a usable server address."),
    "insecure_server": _usage(
        "A secret would travel unprotected over plain http:// to another machine. Use https://, or "
        "say --insecure-http if that network is yours."
    ),
    "bad_environment": _usage(
        "The proxy or certificate settings of the environment can't be used "
        "(HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE…)."
    ),
    "read_only": _usage(
        "garminconnect and garth can't use this connection, which is by a Personal API key. Leave "
        "--format out: the token is for the Personal API."
    ),
    "missing_input": _usage("Something is missing, and there is no terminal to ask on."),
    "bad_input": _usage("This can't be used."),
    "session_file": _usage("The session file can't be used."),
    "cancelled": Advice("Cancelled. Nothing was changed here.", ExitCode.CANCELLED),
}

TABLE = FROM_GARMIN | FROM_SERVICE | FROM_HERE

STAGES = {
    "submitting": "Asking the service",
    "queued": "Waiting for a worker",
    "waiting_for_worker": "Waiting for a worker",
    "contacting_garmin": "Signing in to Garmin",
    "checking_code": "Garmin checks the code",
    "reading_profile": "Reading the profile",
    "storing": "Storing the link to Garmin",
}

_JOINERS = "\u200c\u200d"  # ordinary letters in some scripts

CODE_WAYS = {
    "email": "by e-mail",
    "sms": "by text message",
    "phone": "by phone",
    "app": "in your authenticator app",
}


def exit_code(error: FitTrackAuthError) -> ExitCode:
    known = TABLE.get(error.code)
    return known.exit_code if known else ExitCode.SERVICE


def explain(error: FitTrackAuthError) -> str:
    """What happened and what to do, in sentences."""
    advice = TABLE.get(error.code)
    text = advice.text if advice else f"Unknown error from the service: {printable(error.code)}."
    if error.message and _is_clearer(error):
        text = printable(error.message)
        if error.retry_after:  # it is said below when that is
            text = text.replace(": try again later.", ".")
    elif error.message and (advice is None or error.code in _WITH_MESSAGE):
        text = f"{text.removesuffix('.')} ({printable(error.message).removesuffix('.')})."
    for note in getattr(error, "__notes__", ()):
        text += f" {note}"
    if error.retry_after:
        text += f" Try again in {span(error.retry_after)}."
    return text


def _is_clearer(error: FitTrackAuthError) -> bool:
    """Whether the service's message says what the table can't: which limit, and what to do."""
    return error.code in {"garmin_rate_limited", "rate_limited"} or "garmin" in getattr(
        error, "unavailable", ()
    )


# For these the error's message says what the table can't. Elsewhere the table is clearer.
_WITH_MESSAGE = frozenset(FROM_HERE) | {"invalid_request", "tokens_unreadable"}


def stage_text(stage: str) -> str:
    return STAGES.get(stage) or printable(stage).replace("_", " ").capitalize()


def code_was_sent(way: str | None, destination: str | None) -> str:
    """One sentence: where the person finds the code. Both may be unknown."""
    if way == "app":
        return "The code is in your authenticator app."
    known_way = CODE_WAYS.get(way or "")
    by = f" {known_way}" if known_way else f" ({printable(way)})" if way else ""
    to = f" to {printable(destination)}" if destination else ""
    if by or to:
        return f"Garmin has sent a code{by}{to}."
    return "Garmin asks for a code. Look in your e-mail, text messages or authenticator app."


def span(seconds: int) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return f"{-(-seconds // size)} {unit}s"
    return f"{seconds} second" + ("" if seconds == 1 else "s")


@overload
def rfc3339(moment: datetime) -> str: ...
@overload
def rfc3339(moment: None) -> None: ...
def rfc3339(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def local_time(moment: datetime | None) -> str:
    if moment is None:
        return "unknown"
    try:
        return f"{moment.astimezone():%Y-%m-%d %H:%M %Z}".rstrip()
    except (OverflowError, ValueError):  # in the year 1 or 9999, a few hours from the end of time
        return rfc3339(moment)


def printable(text: str, longest: int = 300) -> str:
    """`text` from elsewhere, without what a terminal would act on: control, direction and line
    characters.
    """
    clean = "".join(character if _is_harmless(character) else "\ufffd" for character in text)
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def _is_harmless(character: str) -> bool:
    kind = unicodedata.category(character)
    return character in _JOINERS or not (kind.startswith("C") or kind in {"Zl", "Zp"})
