"""The Chromium that is installed, for the browser tests and the screenshots."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = ("--disable-background-networking", "--disable-component-update", "--no-proxy-server")


class NoBrowserError(RuntimeError):
    def __init__(self) -> None:
        super().__init__("Chromium is not installed: on Debian, apt-get install chromium")


def chromium_path() -> str:
    """Return the program's path. Raises NoBrowserError."""
    for name in _NAMES:
        if path := shutil.which(name):
            return path
    raise NoBrowserError


@contextmanager
def chromium(*options: str) -> Iterator[Browser]:
    """Run Chromium without a window. While it runs, the thread can't use asyncio itself."""
    # As root, Chromium does not start with its sandbox. It sees our own pages only.
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=[*_OPTIONS, *sandbox, *options]
        )
        with browser:
            yield browser
