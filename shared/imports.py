"""Importing libraries without their optional dependencies."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def absent(*modules: str) -> Iterator[None]:
    """Hide modules from what is imported in the block, as if they were not installed."""
    before = {name: sys.modules.pop(name) for name in modules if name in sys.modules}
    for name in modules:
        sys.modules[name] = None  # type: ignore[assignment]  # how the import system spells it
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
        sys.modules.update(before)
