"""Telling of a bug without its text, which can hold what a person typed."""

from traceback import extract_tb


def where(error: BaseException) -> str:
    """The error's type and the lines it passed through."""
    frames = "; ".join(f"{f.filename}:{f.lineno} {f.name}" for f in extract_tb(error.__traceback__))
    return f"{type(error).__name__} at {frames}"
