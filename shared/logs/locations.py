"""Describing an exception without its text, which can contain what a user typed."""

from traceback import extract_tb


def where(error: BaseException) -> str:
    """Return the exception's type and the lines of its traceback."""
    frames = "; ".join(f"{f.filename}:{f.lineno} {f.name}" for f in extract_tb(error.__traceback__))
    return f"{type(error).__name__} at {frames}"
