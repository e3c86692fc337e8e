"""Repeating what may fail, for the price of a call where it does not."""

from collections.abc import Callable

from tenacity import Retrying


def retried[T](action: Callable[[], T], retrying: Callable[[], Retrying]) -> T:
    """Call once; where that fails, `retrying` decides, beginning with this failure.

    tenacity takes 30 µs to watch a call: as much as Redis needs to answer.
    """
    try:
        return action()
    except Exception as error:  # noqa: BLE001, RUF100 - raised again below
        failures = [error]

    def again() -> T:
        if failures:
            raise failures.pop()
        return action()

    return retrying()(again)
