"""The app in ten lines of docs/integrate.md, as it stands there."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import BrowserContext

from dev.operator import admin
from dev.processes import Process, clean_environment, free_port
from dev.simulator import PASSWORD
from dev.stack import Stack
from tests.end_to_end.browser.person import PATIENCE
from tests.end_to_end.test_integrate import APP


def test_ten_lines_connect_hear_and_fetch_a_token(
    context: BrowserContext, stack: Stack, tmp_path: Path
) -> None:
    with ten_lines(stack, tmp_path) as (address, process):
        page = context.new_page()
        page.goto(f"{address}/connect")
        page.locator("#username").fill("plain-tryer@example.com")
        page.locator("#password").fill(PASSWORD)
        page.locator("#password").press("Enter")
        page.wait_for_url(f"{address}/?connect_session=*")
        ends_at = time.monotonic() + PATIENCE / 1000
        while "Token(access_token=Secret(" not in process.output():
            assert time.monotonic() < ends_at, process.output()
            time.sleep(0.1)


@contextmanager
def ten_lines(stack: Stack, folder: Path) -> Iterator[tuple[str, Process]]:
    (folder / "app.py").write_text(APP, encoding="utf-8")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    key = admin(stack, "clients", "add", "ten-lines", "--origin", address)
    hook = admin(stack, "webhooks", "add", "ten-lines", f"{address}/hook")
    environment = clean_environment() | {
        "FITTRACK_SERVER": stack.url,
        "FITTRACK_CLIENT_KEY": key,
        "APP_URL": f"{address}/",
        "WEBHOOK_SECRET": hook,
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(folder), "app:app"]
    command += ["--port", str(port)]
    log = folder / "app.log"
    with Process("ten-lines", command, log, environment, lambda _: is_up(address)) as process:
        yield address, process


def is_up(address: str) -> bool:
    try:
        return httpx.get(address, trust_env=False, timeout=5).status_code == 404
    except httpx.HTTPError:
        return False
