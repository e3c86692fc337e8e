"""The languages of the connect page: which one to show, and its texts.

`locale/<name>/LC_MESSAGES/connect.po` has the texts, `.mo` the same compiled (`make messages`).
"""

import gettext
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "de", "fr", "es", "ja", "zh-Hans")
DOMAIN = "connect"
FOLDER = Path(__file__).parent / "locale"
_LONGEST = 500


def choose(*wanted: str) -> str:
    """Return the first wanted language that there is, else English. Regions do not matter."""
    for tag in wanted:
        name = tag.replace("_", "-").split("-")[0].lower()
        for language in LANGUAGES:
            if language.split("-")[0] == name:
                return language
    return LANGUAGES[0]


def accepted(header: str) -> list[str]:
    """Return the languages of an `Accept-Language` header, the most wanted one first."""
    return [tag for _, tag in sorted(_weighed(header[:_LONGEST].split(",")), key=lambda p: -p[0])]


def _weighed(parts: Iterable[str]) -> Iterator[tuple[float, str]]:
    for part in parts:
        tag, _, parameter = (piece.strip() for piece in part.partition(";"))
        name, _, value = parameter.strip().partition("=")
        try:
            weight = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            continue
        if weight > 0 and tag:
            yield weight, tag


@cache
def translations(language: str) -> gettext.NullTranslations:
    """Return the texts of one of `LANGUAGES`; English ones are in the template itself."""
    name = language.replace("-", "_")
    return gettext.translation(DOMAIN, FOLDER, [name], fallback=language == LANGUAGES[0])
