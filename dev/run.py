"""`make dev`: the whole service on this machine, until Ctrl-C.

Its data is in `.dev-data`, or in the folder that is given: the database, Redis, logs, and the
encryption key that is made at the first start. `PORT` chooses the API's port. FITTRACK_… variables
reach the service and replace what `make dev` would choose.
"""

import os
import shlex
import socket
import sys
import time
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from cryptography import x509
from cryptography.x509.oid import NameOID

from dev.data_folder import DataFolder, FolderInUseError
from dev.embedded import embedded_stack, is_set
from dev.processes import ROOT, NotReadyError, interrupt_on_signals
from dev.simulator.accounts import PASSWORD
from dev.stack import Stack
from shared.settings import NAMES_OF_OTHERS, PREFIX, unknown_names

_GARMIN = "sso.garmin.com"


def main() -> int:
    interrupt_on_signals()
    if errors := unknown_names(os.environ):
        fail("; ".join(errors))
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / ".dev-data"
    try:
        return run(DataFolder(folder), chosen_port())
    except NotReadyError as error:
        print(f"make dev: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", flush=True)
        return 0


def run(folder: DataFolder, port: int) -> int:
    holder = f"process {os.getpid()}, http://127.0.0.1:{port}"
    try:
        with folder.locked(holder):
            check_free(port)
            print("Starting…", flush=True)
            with (
                embedded_stack(folder.path, settings(folder), {}, port) as stack,
                folder.settings_file(stack.settings) as file,
            ):
                greet(stack, file)
                return watch(stack)
    except FolderInUseError as error:
        fail(f"it is already running ({error})")


def chosen_port() -> int:
    text = os.environ.get("PORT") or "8000"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        fail(f"PORT={text} is not a port: choose one from 1 to 65535")
    return int(text)


def check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            other = port + 1 if port < 65535 else 8000
            fail(f"can't use port {port} ({reason}): try `make dev PORT={other}`")


def settings(folder: DataFolder) -> dict[str, str]:
    """The person's settings, and an encryption key if there is none among them."""
    given = {name.upper(): value for name, value in os.environ.items()}
    chosen = {
        name: value
        for name, value in given.items()
        if name.startswith(PREFIX) and name not in NAMES_OF_OTHERS
    }
    if not is_set("FITTRACK_ENCRYPTION_KEYS", chosen):
        chosen["FITTRACK_ENCRYPTION_KEYS"] = folder.encryption_key()
    return chosen


def greet(stack: Stack, settings_file: Path) -> None:
    file, logs = shown(settings_file), shown(stack.folder)
    print(
        f"\nFitTrack Auth is up at {stack.url} (documentation at {stack.url}/docs)."
        f"\n{garmin_route()} Sign in with:\n"
        f"\n    .venv/bin/fittrack-auth login --server {stack.url}\n"
        "\nThe operator's commands work beside it:\n"
        f"\n    (set -a; . {file}; .venv/bin/fittrack-auth-admin clients add my-app)\n"
        f"\nLogs are in {logs}/. Ctrl-C stops everything.",
        flush=True,
    )


def shown(path: Path) -> str:
    return shlex.quote(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path))


def garmin_route() -> str:
    """Say what the worker's requests to Garmin reach: it inherits our proxy and certificates."""
    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy or proxy_bypass(_GARMIN):
        return "It talks to the real Garmin."
    url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    address = url.netloc.rpartition("@")[2]  # without a password
    if trusts_the_simulator():
        return (
            f"It talks to the simulated Garmin behind the proxy {address}."
            f"\nEvery username works, with the password: {PASSWORD}\n"
        )
    return f"It talks to Garmin through the proxy {address}."


def trusts_the_simulator() -> bool:
    try:
        pem = Path(os.environ.get("REQUESTS_CA_BUNDLE", "")).read_bytes()
        subjects = [one.subject for one in x509.load_pem_x509_certificates(pem)]
    except (OSError, ValueError):
        return False
    names = (s.get_attributes_for_oid(NameOID.ORGANIZATION_NAME) for s in subjects)
    return any(name.value == "Simulated Garmin" for found in names for name in found)


def watch(stack: Stack) -> int:
    """Wait for Ctrl-C, or until a process ends by itself."""
    while True:
        for process in (*stack.apis, *stack.workers):
            if not process.running:
                print(f"{process.name} ended by itself:\n{process.output()[-2000:]}", flush=True)
                return 1
        time.sleep(0.5)


def fail(message: str) -> NoReturn:
    sys.exit(f"make dev: {message}")


if __name__ == "__main__":
    sys.exit(main())
