"""The sample app beside a running service, registered as its operator would."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from dev.operator import admin
from dev.processes import Process, clean_environment, free_port
from dev.stack import Stack

NAME = "sample-app"


@contextmanager
def sample_app(stack: Stack, garmin: Mapping[str, str], port: int | None = None) -> Iterator[str]:
    """Run the app, and return its address. `garmin`: how it reaches Garmin's API."""
    port = port or free_port()
    address = f"http://127.0.0.1:{port}"
    options = ("--display-name", "Sample App", "--accent", "#0b6e4f", "--origin", address)
    settings = {
        "FITTRACK_SERVER": stack.url,
        "FITTRACK_CLIENT_KEY": _secret(stack, "clients", "add", NAME, *options),
        "SAMPLE_APP_ADDRESS": address,
        "SAMPLE_APP_WEBHOOK_SECRET": _secret(stack, "webhooks", "add", NAME, f"{address}/webhook"),
    }
    command = [sys.executable, "-m", "uvicorn", "dev.sample_app.app:app", "--port", str(port)]
    environment = clean_environment() | dict(garmin) | settings
    log = stack.folder / "sample-app.log"
    with Process("sample-app", command, log, environment, lambda _: _answers(address)):
        yield address


def _secret(stack: Stack, *arguments: str) -> str:
    """Run an operator's command; return the last word that it prints."""
    return admin(stack, *arguments).split()[-1]


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, trust_env=False, timeout=5).is_success
    except httpx.HTTPError:
        return False
