"""Drivers, one for each Garmin library, and what they share."""

import warnings

from shared.imports import absent

# requests guesses encodings with these, which takes 2 MB. What names none is UTF-8 without them.
with warnings.catch_warnings(), absent("chardet", "charset_normalizer"):
    warnings.simplefilter("ignore")  # requests misses them
    import requests  # noqa: F401
