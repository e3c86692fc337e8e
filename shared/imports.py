"""Importing less of a library than it would import by itself."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from typing import cast


@contextmanager
def absent(*modules: str) -> Iterator[None]:
    """Hide modules from what is imported in the block, as if they were not installed."""
    with _replaced(dict.fromkeys(modules)):  # None: how the import system spells it
        yield


@contextmanager
def unused(*modules: str) -> Iterator[None]:
    """Spare the block modules that a library imports, and of which nothing here uses a name.

    Who imports one afterwards gets the module itself.
    """
    with _replaced({name: _Unused(name) for name in modules}):
        yield


@contextmanager
def _replaced(modules: Mapping[str, ModuleType | None]) -> Iterator[None]:
    before = {name: sys.modules.pop(name) for name in modules if name in sys.modules}
    sys.modules.update(cast("Mapping[str, ModuleType]", modules))
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
        sys.modules.update(before)


class _Unused(ModuleType):
    """Has every name: a class that has nothing in it, and no object."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


@contextmanager
def without_init(package: str, *parts: str) -> Iterator[None]:
    """Let the block import single modules of a package, without all that its `__init__` imports.

    The package has no names but those of its modules `parts`. Who imports it afterwards gets
    another copy, which is complete.
    """
    before = _taken(package)
    sys.modules[package] = module = module_from_spec(_spec(package))
    try:
        for part in parts:
            vars(module).update(_names(import_module(f"{package}.{part}")))
        yield
    finally:
        _taken(package)
        sys.modules.update(before)


def _names(module: ModuleType) -> dict[str, object]:
    return {name: value for name, value in vars(module).items() if not name.startswith("_")}


def _spec(package: str) -> ModuleSpec:
    """Find a package, without importing those that it is in, as `find_spec` would."""
    parent = package.rpartition(".")[0]
    places = _spec(parent).submodule_search_locations if parent else None
    spec = PathFinder.find_spec(package, places)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    return spec


def _taken(package: str) -> dict[str, ModuleType]:
    """Take a package and its modules out of those that are loaded."""
    loaded = list(sys.modules)  # other threads may be importing
    names = [name for name in loaded if name == package or name.startswith(f"{package}.")]
    return {name: sys.modules.pop(name) for name in names}
