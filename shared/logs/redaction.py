"""Redaction: every log line passes here last, whichever logger it came from.

A line keeps its text, without what looks like a secret. Where secrets have no known form, the text
is withheld: an exception is logged by its type and frames, and a line from a library that talks to
Garmin only by where it was logged.
"""

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
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
        "httpcore",
        "httpx",
        "oauthlib",
        "requests",
        "requests_oauthlib",
        "urllib3",
    }
)
"""Libraries whose own lines hold secrets: URLs with tickets, form bodies, signatures."""

_LONGEST_CHAIN = 5
_OURS = {"time", "level", "event"}
_ALWAYS_KEPT = ("time", "level", "logger", "event", "request_id", "job_id")

_SENSITIVE_WORDS = (
    *("passw", "passphrase", "secret", "token", "cookie", "ticket", "authorization", "credential"),
    *("username", "user_name", "email", "e-mail", "query_string"),
    *("challengeid", "challenge_id", "challenge-id", "clientkey", "client_key", "client-key"),
    *("encryptionkey", "encryption_key", "encryption-key"),
)
# The quantifiers are such that no text, however long, takes more than a moment.
_SENSITIVE = (
    rf"(?:(?=[\w-]*?(?:{'|'.join(_SENSITIVE_WORDS)}))[\w-]++"
    r"|(?:mfa|otp)?[_-]?(?:verification)?[_-]?code)"
)
_SENSITIVE_NAME = re.compile(_SENSITIVE, re.IGNORECASE)

_LONG = 43
"""Characters of our own tokens, and of a key; a uuid is shorter."""

_LONG_RUN = re.compile(rf"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{{{_LONG}}}")

_ERROR = re.compile(r"^([\w.]+(?:Error|Exception))(?::|$)", re.MULTILINE)
_FRAME = re.compile(r'File "([^"\n]+)", line (\d+), in (\S+)')
_WARNING = re.compile(r".*?:\d+: \w+")


@dataclass(frozen=True)
class Rule:
    """What to replace in a text.

    Only a text in which `hint` is found, once in lower case, can match: nearly all texts are done
    with that.
    """

    hint: re.Pattern[str]
    pattern: re.Pattern[str]
    replacement: str | Callable[[re.Match[str]], str]


def _describe_traceback(match: re.Match[str]) -> str:
    text = match.group()
    errors = ", ".join(_ERROR.findall(text))
    frames = "; ".join(f"{file}:{line} {name}" for file, line, name in _FRAME.findall(text))
    return f"{errors or 'an exception'} at {frames}"


def _hide_value(match: re.Match[str]) -> str:
    quote = match["quote"] or ""
    return f"{match['name']}{quote}{HIDDEN}{quote}"


RULES = (
    Rule(
        re.compile(r"traceback \("),
        re.compile(r"Traceback \(most recent call last\):.*", re.DOTALL),
        _describe_traceback,
    ),
    # `'password': '…'` and `password=…`: without quotes there is no telling where it ends.
    Rule(
        re.compile("|".join((*_SENSITIVE_WORDS, "code"))),
        re.compile(
            rf"""(?<![\w-])(?P<name>{_SENSITIVE}\\?["']?\s*[:=]\s*)"""
            r"""(?:b?(?P<quote>["'])(?:(?!(?P=quote))[^\\]|\\.)*(?P=quote)|.+)""",
            re.IGNORECASE | re.DOTALL,
        ),
        _hide_value,
    ),
    # redis://:password@host
    Rule(re.compile("@"), re.compile(r"""(?<=://)[^\s"'<>/]*@"""), f"{HIDDEN}@"),
    # /path?ticket=…
    Rule(re.compile(r"\?"), re.compile(r"""\?[^\s"'<>]+"""), f"?{HIDDEN}"),
    # Garmin's tickets
    Rule(re.compile("st-|tgt-"), re.compile(r"\b(?:ST|TGT)-[\w.-]+"), HIDDEN),
    Rule(
        re.compile("bearer|basic|oauth"),
        re.compile(r"\b(bearer|basic|oauth)\s+\S+", re.IGNORECASE),
        rf"\1 {HIDDEN}",
    ),
    # JSON Web Tokens
    Rule(re.compile("eyj"), re.compile(r"\beyJ[\w.-]+"), HIDDEN),
    # sealing keys
    Rule(_LONG_RUN, re.compile(rf"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{{{_LONG},}}="), HIDDEN),
    # our own tokens, and all that is as long
    Rule(_LONG_RUN, re.compile(rf"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{{{_LONG},}}"), HIDDEN),
    # mail addresses, but not which worker: celery@host.example.com
    Rule(
        re.compile("@|%40"),
        re.compile(r"\b(?!celery@)[\w.+%-]{1,64}(?:@|%40)[\w-]+(?:\.[\w-]+)+"),
        HIDDEN,
    ),
)

_WORDS = re.compile("|".join(rule.hint.pattern for rule in RULES if rule.hint is not _LONG_RUN))


def redacted(text: str) -> str:
    """Return the text without what looks like a secret."""
    if not text.isascii():  # where case is ignored, other letters can equal those of a hint
        for rule in RULES:
            text = rule.pattern.sub(rule.replacement, text)
        return text
    lowered = text.lower()
    words = _WORDS.search(lowered)
    long_run = len(text) >= _LONG and _LONG_RUN.search(lowered)
    if not words and not long_run:
        return text
    for rule in RULES:
        if long_run if rule.hint is _LONG_RUN else words and rule.hint.search(lowered):
            text = rule.pattern.sub(rule.replacement, text)
    return text


def redact(_: object, __: str, event: EventDict) -> EventDict:
    """Process a log line for structlog: take its fields, return those that may be shown."""
    record: LogRecord = event.pop("_record")
    message, args = event["event"], event.pop("positional_args", ())
    if not event.pop("_from_structlog"):
        message = record.msg  # which need not be text, but an exception
    error = _error(event.pop("exc_info", None))
    event.pop("stack_info", None)
    suppressed = _is_sensitive(record)
    if suppressed:
        event = {name: event[name] for name in _ALWAYS_KEPT if name in event}
        message, args = "message suppressed", ()
    if record.name == "py.warnings":  # its text can be an exception's
        match = _WARNING.match(str(message))
        message, args = match.group() if match else "a warning", ()
    event["event"] = ""  # keeps its place in the line
    shown = {name: value if name in _OURS else _shown(value, name) for name, value in event.items()}
    shown["event"] = _formatted(message, args, error)
    if suppressed:
        shown["at"] = f"{record.module}.{record.funcName}:{record.lineno}"
    if error is not None:
        shown["exception"] = "; from ".join(where(e) for e in _chain(error))
    return shown


def _is_sensitive(record: LogRecord) -> bool:
    if record.name.partition(".")[0] in SENSITIVE_LIBRARIES:
        return True
    # garth uses the root logger, here and there.
    return record.name == "root" and not SENSITIVE_LIBRARIES.isdisjoint(Path(record.pathname).parts)


def _formatted(message: object, args: object, error: BaseException | None) -> str:
    try:
        text = message if isinstance(message, str) else str(_shown(message))
        if args:
            text = text % _shown(args)
        for known in _chain(error):
            for form in (repr(known), str(known)):
                if len(form) > 3:  # shorter ones are no secrets, and stand in every text
                    text = text.replace(form, type(known).__name__)
    except Exception as fault:  # whatever an argument's own method raises
        return f"a line that can't be shown: {type(fault).__name__}"
    return redacted(text)


def _shown(value: object, name: str = "") -> object:
    """The same, in plain types, without what may not be shown."""
    if name and _is_sensitive_name(name):
        return HIDDEN
    match value:
        case str():
            return redacted(value)
        case None | bool() | int() | float():
            return value
        case tuple():
            return tuple(_shown(item) for item in value)
        case list() | set() | frozenset():
            return [_shown(item) for item in value]
        case BaseException():
            return " from ".join(type(error).__name__ for error in _chain(value))
        case Mapping():
            return {str(key): _shown(item, str(key)) for key, item in value.items()}
        case _:
            return redacted(str(value))


@lru_cache(maxsize=256)
def _is_sensitive_name(name: str) -> bool:
    return _SENSITIVE_NAME.fullmatch(name) is not None


def _error(exc_info: object) -> BaseException | None:
    """The exception, in each of the ways in which loggers are given one."""
    if exc_info is True:
        exc_info = sys.exc_info()
    if isinstance(exc_info, tuple):
        exc_info = exc_info[1]
    return exc_info if isinstance(exc_info, BaseException) else None


def _chain(error: BaseException | None) -> list[BaseException]:
    """An exception, and what it came from."""
    chain: list[BaseException] = []
    while error is not None and len(chain) < _LONGEST_CHAIN:
        chain.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return chain
