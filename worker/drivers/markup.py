"""What stands in the pages and texts of Garmin's sign-in: titles, variables, shown errors."""

import html
import re
from collections.abc import Iterable

_TITLE = re.compile(r"<title>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_VARIABLE = re.compile(r"\bvar\s+(\w+)\s*=\s*([\"'])(.*?)\2")
_SHOWN_ERROR = re.compile(r'<div id="(\w+)" class="error">')  # the others are `hidden`
_EXCEPTION = re.compile(r"\b\w+Exception\b")
_PAGE = re.compile(r"<!doctype html|<html|<title", re.IGNORECASE)
_CODE_FIELD = re.compile(r"[\"']mfa-(?:verification-)?code[\"']")
_PASSWORD_FIELD = re.compile(r"<input[^>]*type=[\"']password[\"']")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def title(text: str) -> str:
    found = _TITLE.search(text)
    return html.unescape(found.group(1)).strip() if found else ""


def variables(text: str) -> dict[str, str]:
    """Return the strings that a page's scripts begin with, `var status = "…"`."""
    return {name: html.unescape(value) for name, _, value in _VARIABLE.findall(text)}


def verdict_texts(text: str) -> list[str]:
    """Return where a text that is not JSON can hold a verdict.

    That is a page's title, its `var status` and the ids of the errors it shows, or the name of an
    exception in XML.
    """
    if not _PAGE.search(text):
        return _EXCEPTION.findall(text)
    return [title(text), variables(text).get("status", ""), *_SHOWN_ERROR.findall(text)]


def has_code_field(text: str) -> bool:
    return bool(_CODE_FIELD.search(text))


def has_password_field(text: str) -> bool:
    return bool(_PASSWORD_FIELD.search(text))


def words(texts: Iterable[str]) -> str:
    """Write names and sentences as words: `generalLoginAccountLocked`, `ACCOUNT_LOCKED`."""
    return f" {' '.join(' '.join(_WORD.findall(text)) for text in texts).lower()} "
