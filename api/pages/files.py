"""The files of the pages, which lie beside this one."""

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent


@cache
def text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
