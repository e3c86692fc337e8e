"""Settings of glibc's allocator. They do nothing on other platforms."""

import ctypes
import gc
from contextlib import suppress

_ARENAS = 2
_M_ARENA_MAX = -8


def limit_arenas() -> None:
    """Let all threads share two arenas, so that freed memory is used again by other threads.

    Call it before threads start.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def release_unused() -> None:
    """Return freed memory to the system. Imports leave about a tenth of it unused.

    What is there now stays for good: later collections need not look at it.
    """
    gc.collect()
    gc.freeze()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
