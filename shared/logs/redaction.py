"""The one redaction point: what every log line passes last, whichever logger it came from.

A line keeps its text, without what looks like a secret. Where nobody can say what a secret looks
like, the text is not shown at all: in an exception, which is told by its type and its frames, and
in the libraries that speak to Garmin, of which is told only that, and where, they said something.
"""

import re
import sys
from collections.abc import Mapping
from logging import LogRecord
from pathlib import Path

from structlog.typing import EventDict

from shared.logs.locations import where

HIDDEN = "***"

SENSITIVE_LIBRARIES = frozenset(
    {
        "charset_normalizer",
        "curl_cffi",
        "garminconnect",
        "garth",
        "oauthlib",
        "requests",
        "requests_oauthlib",
        "urllib3",
    }
)
"""Libraries whose own lines hold secrets: URLs with tickets, form bodies, signatures."""

_LONGEST_CHAIN = 5
_KEPT = ("time", "level", "logger", "event", "request_id", "job_id")

# The quantifiers are such that no text, however long, takes more than a moment.
_TELLING = (
    r"(?:(?=[\w-]*?(?:passw|passphrase|secret|token|cookie|ticket|authorization|credential"
    r"|user_?name|e-?mail|challenge[_-]?id|client[_-]?key|encryption[_-]?key|query_string))[\w-]++"
    r"|(?:mfa|otp)?[_-]?(?:verification)?[_-]?code)"
)
_TELLING_KEY = re.compile(_TELLING, re.IGNORECASE)
_TOLD = re.compile(
    rf"""(?<![\w-])(?P<name>{_TELLING}\\?["']?\s*[:=]\s*)"""
    r"""(?:b?(?P<quote>["'])(?:(?!(?P=quote))[^\\]|\\.)*(?P=quote)|.+)""",
    re.IGNORECASE | re.DOTALL,
)
"""`'password': '…'` and `password=…`: without quotes nobody knows where it ends."""

_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    # redis://:password@host
    (re.compile(r"""(?<=://)[^\s"'<>/]*@"""), f"{HIDDEN}@"),
    # /path?ticket=…
    (re.compile(r"""\?[^\s"'<>]+"""), f"?{HIDDEN}"),
    # Garmin's tickets
    (re.compile(r"\b(?:ST|TGT)-[\w.-]+"), HIDDEN),
    (re.compile(r"\b(bearer|basic|oauth)\s+\S+", re.IGNORECASE), rf"\1 {HIDDEN}"),
    # JSON Web Tokens
    (re.compile(r"\beyJ[\w.-]+"), HIDDEN),
    # sealing keys
    (re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43,}="), HIDDEN),
    # our own tokens, and all that is as long; a uuid is not
    (re.compile(r"[A-Za-z0-9_-]{43,}"), HIDDEN),
    # who somebody is, but not which worker: celery@host.example.com
    (re.compile(r"\b(?!celery@)[\w.+%-]{1,64}(?:@|%40)[\w-]+(?:\.[\w-]+)+"), HIDDEN),
)

_TRACEBACK = re.compile(r"Traceback \(most recent call last\):.*", re.DOTALL)
_FRAME = re.compile(r'File "([^"\n]+)", line (\d+), in (\S+)')
_ERROR = re.compile(r"^([\w.]+(?:Error|Exception))(?::|$)", re.MULTILINE)
_WARNING = re.compile(r".*?:\d+: \w+")


def redact(_: object, __: str, event: EventDict) -> EventDict:
    """A processor of structlog's: takes a line's fields, returns those that may be shown."""
    record: LogRecord = event.pop("_record")
    message, args = event["event"], event.pop("positional_args", ())
    if not event.pop("_from_structlog"):
        message = record.msg  # which need not be text, but an exception
    error = _error(event.pop("exc_info", None))
    event.pop("stack_info", None)
    kept_back = _is_sensitive(record)
    if kept_back:
        event = {name: event[name] for name in _KEPT if name in event}
        message, args = "message suppressed", ()
    if record.name == "py.warnings":  # its text can be an exception's
        found = _WARNING.match(str(message))
        message, args = found.group() if found else "a warning", ()
    shown = {name: _shown(value, name) for name, value in event.items()}
    shown["event"] = _said(message, args, error)
    if kept_back:
        shown["at"] = f"{record.module}.{record.funcName}:{record.lineno}"
    if error is not None:
        shown["exception"] = "; from ".join(where(e) for e in _chain(error))
    return shown


def _is_sensitive(record: LogRecord) -> bool:
    names = {record.name.partition(".")[0]}
    if record.name == "root":  # garth's way, here and there
        names.update(Path(record.pathname).parts)
    return not SENSITIVE_LIBRARIES.isdisjoint(names)


def _said(message: object, args: object, error: BaseException | None) -> str:
    try:
        text = message if isinstance(message, str) else str(_shown(message))
        if args:
            text = text % _shown(args)
        for known in _chain(error):
            for its in (repr(known), str(known)):
                if len(its) > 3:  # shorter ones are no secrets, and stand in every text
                    text = text.replace(its, type(known).__name__)
    except Exception as fault:  # whatever an argument's own method raises
        return f"a line that can't be shown: {type(fault).__name__}"
    return redacted(text)


def _shown(value: object, name: str = "") -> object:
    """The same, in plain types, without what may not be shown."""
    if _TELLING_KEY.fullmatch(name):
        return HIDDEN
    match value:
        case str():
            return redacted(value)
        case None | bool() | int() | float():
            return value
        case BaseException():
            return " from ".join(type(error).__name__ for error in _chain(value))
        case Mapping():
            return {str(key): _shown(held, str(key)) for key, held in value.items()}
        case list() | tuple() | set() | frozenset():
            held = [_shown(one) for one in value]
            return tuple(held) if isinstance(value, tuple) else held
        case _:
            return redacted(str(value))


def redacted(text: str) -> str:
    """The text, without what looks like a secret."""
    text = _TOLD.sub(_without_value, _TRACEBACK.sub(_frames, text))
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text


def _without_value(told: re.Match[str]) -> str:
    quote = told["quote"] or ""
    return f"{told['name']}{quote}{HIDDEN}{quote}"


def _frames(traceback: re.Match[str]) -> str:
    """What may be told of a traceback that arrives as text."""
    errors = ", ".join(_ERROR.findall(traceback.group()))
    frames = "; ".join(f"{f}:{line} {name}" for f, line, name in _FRAME.findall(traceback.group()))
    return f"{errors or 'an exception'} at {frames}"


def _error(exc_info: object) -> BaseException | None:
    """The exception, in each of the ways in which loggers are told of one."""
    if exc_info is True:
        exc_info = sys.exc_info()
    if isinstance(exc_info, tuple):
        exc_info = exc_info[1]
    return exc_info if isinstance(exc_info, BaseException) else None


def _chain(error: BaseException | None) -> list[BaseException]:
    """An exception, and what it came from."""
    found: list[BaseException] = []
    while error is not None and len(found) < _LONGEST_CHAIN:
        found.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found
