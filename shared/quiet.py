"""Libraries whose own log lines hold secrets: URLs with tickets, form bodies, signatures."""

import logging

_TELLTALES = (
    "charset_normalizer",
    "curl_cffi",
    "garminconnect",
    "garth",
    "oauthlib",
    "requests",
    "requests_oauthlib",
    "urllib3",
)
_NEVER = logging.CRITICAL + 1


def silence_telltales() -> None:
    """Keeps them silent at every level, also where the operator asks for DEBUG."""
    for name in _TELLTALES:
        logging.getLogger(name).setLevel(_NEVER)
