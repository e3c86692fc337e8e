"""Text from elsewhere, made safe for a terminal."""

import unicodedata

LONGEST = 300
_JOINERS = "\u200c\u200d"  # ordinary letters in some scripts


def printable(text: str, longest: int = LONGEST) -> str:
    """`text` without what a terminal would act on: control, direction and line characters."""
    clean = "".join(character if _harmless(character) else "\ufffd" for character in text)
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def _harmless(character: str) -> bool:
    kind = unicodedata.category(character)
    return character in _JOINERS or not (kind.startswith("C") or kind in {"Zl", "Zp"})
