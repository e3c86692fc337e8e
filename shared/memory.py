"""What a process asks of glibc's allocator; elsewhere nothing is done."""

import ctypes
import gc
from contextlib import suppress

_ARENAS = 2
_M_ARENA_MAX = -8


def limit_arenas() -> None:
    """Let all threads share two arenas: by default each gets one, and keeps what it freed there.

    Call it before threads start.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def release_unused() -> None:
    """Give back to the system what was freed: imports leave a tenth of the memory behind."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
