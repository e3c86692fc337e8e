"""One table: every error code, what a person can do about it, and the exit code."""

from dataclasses import dataclass
from enum import IntEnum

from cli.codes import Code
from cli.printable import printable
from cli.trouble import Trouble


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
    Code.INVALID_CREDENTIALS: _refused(
        "Garmin did not accept this username and password. Check both (and --domain, if the "
        "account is a garmin.cn one), then log in again."
    ),
    Code.MFA_CODE_INVALID: _refused("Garmin did not accept this code."),
    Code.MFA_ATTEMPTS_EXHAUSTED: _refused(
        "Too many wrong codes: this sign-in is over. Log in again to get a new code."
    ),
    Code.ACCOUNT_LOCKED: _refused(
        "Garmin has locked this account. Open Garmin Connect in a browser, follow what it says "
        "there, then log in again."
    ),
    Code.CAPTCHA_REQUIRED: _refused(
        "Garmin wants to see a person first. Sign in to Garmin Connect once in a browser, solve "
        "the puzzle there, then log in again."
    ),
    Code.GARMIN_RATE_LIMITED: _refused(
        "Garmin refuses sign-ins from here for now. Leave it alone for a while: more attempts "
        "make it longer."
    ),
    Code.GARMIN_UNAVAILABLE: _refused(
        "Garmin does not answer as it should. This is on its side and usually passes."
    ),
    Code.INTERRUPTED: _refused(
        "The sign-in was interrupted half-way, and it can't be known what Garmin saw of it. "
        "Log in again."
    ),
    Code.TIMED_OUT: _refused("Garmin took too long and the sign-in was given up. Log in again."),
}

FROM_SERVICE: dict[str, Advice] = {
    Code.INVALID_REQUEST: _usage(
        "The service did not accept what was sent. Check what you entered."
    ),
    Code.PAYLOAD_TOO_LARGE: _usage("What you entered is too long for the service."),
    Code.UNSUPPORTED_MEDIA_TYPE: _service(
        "The service does not speak this program's language: their versions may not fit."
    ),
    Code.UNAUTHORIZED: _refused("This session is over. Log in with: fittrack-auth login"),
    Code.JOB_NOT_FOUND: _refused(
        "There is no such job, or it has expired, or the poll token is not the one for it. "
        "For a sign-in, log in again."
    ),
    Code.CHALLENGE_NOT_FOUND: _refused(
        "This sign-in no longer waits for a code: it expired, was finished or was used up. "
        "Log in again to get a new code."
    ),
    Code.CHALLENGE_BUSY: _service(
        "Another code for this sign-in is still being checked. Log in again in a moment."
    ),
    Code.SIGN_IN_IN_PROGRESS: _service(
        "Another sign-in for this account is under way. Wait until it has ended, then log in again."
    ),
    Code.RATE_LIMITED: _service(
        "The service limits how often this may be asked: it was too often."
    ),
    Code.SERVICE_UNAVAILABLE: _service(
        "The service is up but can't work just now. If it stays like this, tell the person who "
        "runs it."
    ),
    Code.INTERNAL_ERROR: _service(
        "The service has made a mistake. The person who runs it finds it in the log."
    ),
}

FROM_HERE: dict[str, Advice] = {
    Code.SERVICE_UNREACHABLE: _service(
        "The service can't be reached. Is it running, and is the address right (--server or "
        "FITTRACK_SERVER)?"
    ),
    Code.ANSWER_LOST: _service(
        "The connection broke before the service answered, so it can't be known whether it was "
        "asked. It was not sent a second time, because nothing should be tried at Garmin twice. "
        "Wait a minute, then log in again."
    ),
    Code.TLS_FAILED: _service(
        "The service's certificate can't be trusted. Check the address; for a certificate of your "
        "own, name your authority's file in SSL_CERT_FILE."
    ),
    Code.UNEXPECTED_ANSWER: _service(
        "What answers at this address does not speak like this service. Check --server or "
        "FITTRACK_SERVER, and what stands in front of it."
    ),
    Code.CLIENT_KEY_NEEDED: _refused(
        "This service takes sign-ins from known apps alone. Put the key that whoever runs it gave "
        "you into FITTRACK_CLIENT_KEY."
    ),
    Code.NO_RESULT_IN_TIME: _service(
        "There was no result within the time the service keeps one. Log in again."
    ),
    Code.CODE_NOT_IN_TIME: _refused(
        "The code was not entered in time. Log in again to get a new code."
    ),
    Code.NOT_SIGNED_IN: _refused("Not signed in. Log in with: fittrack-auth login"),
    Code.OTHER_SERVER: _refused("The stored session belongs to another server."),
    Code.OTHERS_LEFT_OPEN: _refused(
        "This session had already ended, so the others could not be closed. The session file is "
        "gone. Log in once more, then: fittrack-auth logout --everywhere"
    ),
    Code.BAD_SERVER: _usage("This is not a usable server address."),
    Code.INSECURE_SERVER: _usage(
        "A secret would travel unprotected over plain http:// to another machine. Use https://, or "
        "say --insecure-http if that network is yours."
    ),
    Code.BAD_ENVIRONMENT: _usage(
        "The proxy or certificate settings of the environment can't be used "
        "(HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE…)."
    ),
    Code.MISSING_INPUT: _usage("Something is missing, and there is no terminal to ask on."),
    Code.BAD_INPUT: _usage("This can't be used."),
    Code.SESSION_FILE: _usage("The session file can't be used."),
    Code.CANCELLED: Advice("Cancelled. Nothing was changed here.", ExitCode.CANCELLED),
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

CODE_WAYS = {
    "email": "by e-mail",
    "sms": "by text message",
    "phone": "by phone",
    "app": "in your authenticator app",
}


def exit_code(trouble: Trouble) -> ExitCode:
    known = TABLE.get(trouble.code)
    return known.exit_code if known else ExitCode.SERVICE


def explain(trouble: Trouble) -> str:
    known = TABLE.get(trouble.code)
    text = known.text if known else _unknown(trouble)
    if trouble.detail and (known is None or trouble.code in _WITH_DETAIL):
        text = f"{text.removesuffix('.')} ({printable(trouble.detail)})."
    if trouble.aftermath:
        text += f" {trouble.aftermath}"
    if trouble.retry_after:
        text += f" Try again in {span(trouble.retry_after)}."
    return text


def _unknown(trouble: Trouble) -> str:
    return f"The service reports an error this program does not know: {printable(trouble.code)}."


# For these the detail says what the table can't. Elsewhere the table is clearer.
_WITH_DETAIL = frozenset(FROM_HERE) | {Code.INVALID_REQUEST}


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
