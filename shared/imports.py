"""Importing libraries without the optional ones that they use where those are installed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def absent(*modules: str) -> Iterator[None]:
    """What is imported in the block finds these modules not to be installed."""
    before = {name: sys.modules.pop(name) for name in modules if name in sys.modules}
    for name in modules:
        sys.modules[name] = None  # type: ignore[assignment]  # how the import system spells it
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
        sys.modules.update(before)
