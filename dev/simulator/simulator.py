"""The simulator inside another process: a thread with an event loop of its own."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from dev.simulator.control import Control
from dev.simulator.keys import LIFETIME_DAYS
from dev.simulator.server import Addresses, Server
from dev.simulator.sessions import SentCode
from dev.simulator.settings import Settings


class Simulator:
    """A simulated Garmin that runs in a thread while the `with` block lasts.

    latency: seconds before each response. port, control_port: 0 takes a free one. state_dir:
    keeps `ca.pem` between runs; default is a temporary directory. settings: fields of `Settings`.
    """

    def __init__(
        self,
        latency: float = 0.0,
        *,
        port: int = 0,
        control_port: int = 0,
        state_dir: Path | None = None,
        **settings: object,
    ) -> None:
        self._settings = Settings.model_validate({"latency_ms": latency * 1000, **settings})
        self._ports = (port, control_port)
        self._state_dir = state_dir
        self._temporary: TemporaryDirectory[str] | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._control: Control
        self.proxy_url = ""
        self.control_url = ""
        self.ca_file = ""
        self.environment: dict[str, str] = {}

    def start(self) -> Self:
        """Start serving. Raises OSError if a port is taken."""
        directory = self._state_dir
        if directory is None:
            self._temporary = TemporaryDirectory(prefix="garmin-simulator-")
            directory = Path(self._temporary.name)
        ready: Future[Addresses] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(directory, ready), name="garmin-simulator", daemon=True
        )
        self._thread.start()
        try:
            addresses = ready.result()
        except BaseException:
            self._clean_up()
            raise
        self.proxy_url = addresses.proxy_url
        self.control_url = addresses.control_url
        self.ca_file = addresses.ca_file
        self.environment = addresses.environment()
        return self

    def stop(self) -> None:
        """Stop serving and cut open connections. Does nothing if already stopped."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._clean_up()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def counters(self) -> dict[str, Any]:
        """Return `{"total": {...}, "by_username": {...}, "by_client": {...}}`, zeros included."""
        return self._call(lambda control: control.counters())

    def count(self, name: str, username: str | None = None) -> int:
        """Return one counter, of one person or in total."""
        counters = self.counters()
        if username is None:
            return int(counters["total"][name])
        return int(counters["by_username"].get(username.lower(), {}).get(name, 0))

    def issued(self) -> dict[str, list[str]]:
        """Return every secret issued since the last reset, by kind, used ones included."""
        return self._call(lambda control: control.issued())

    def code(self, username: str) -> str:
        """Return the last code of this person. Raises LookupError if there is none."""
        codes = self.codes(username)
        if not codes:
            raise LookupError(username)
        return codes[-1].code

    def codes(self, username: str) -> list[SentCode]:
        """Return all codes of this person, oldest first."""
        return self._call(lambda control: control.codes(username))

    def account(self, username: str, domain: str = "garmin.com") -> dict[str, Any]:
        """Return an account: its profile and password, and how its sign-in goes."""
        return self._call(lambda control: control.account(username, domain))

    def settings(self) -> dict[str, Any]:
        return self._call(lambda control: control.settings())

    def configure(self, **changes: object) -> dict[str, Any]:
        """Replace the settings named; return all. Raises ValidationError."""
        return self._call(lambda control: control.configure(**changes))

    def add_fault(self, **fault: object) -> dict[str, Any]:
        """Append a fault; return all settings. Raises ValidationError."""
        return self._call(lambda control: control.add_fault(**fault))

    def now(self) -> float:
        """Return the simulated time, in seconds since the epoch."""
        return self._call(lambda control: control.now())

    def advance_clock(self, seconds: float) -> float:
        """Move the simulated clock, back if negative; return the new time."""
        return self._call(lambda control: control.advance_clock(seconds))

    def expire_codes(self, username: str | None = None) -> int:
        return self._call(lambda control: control.expire_codes(username))

    def expire_sessions(self, username: str | None = None) -> int:
        return self._call(lambda control: control.expire_sessions(username))

    def expire_tokens(self, username: str | None = None) -> int:
        """Expire access tokens, which can still be refreshed; return how many."""
        return self._call(lambda control: control.expire_tokens(username))

    def revoke_tokens(self, username: str | None = None) -> int:
        """Revoke access, OAuth1 and refresh tokens; return how many."""
        return self._call(lambda control: control.revoke_tokens(username))

    def make_key(self, username: str, days: float = LIFETIME_DAYS) -> str:
        """Make a Personal API key that ends after so many days."""
        return self._call(lambda control: control.make_key(username, days)).value

    def revoke_keys(self, username: str | None = None) -> int:
        """Revoke Personal API keys, and the access tokens made of them; return how many keys."""
        return self._call(lambda control: control.revoke_keys(username))

    def reset(self) -> None:
        """Restore the initial settings; drop counters, sessions, codes and tokens."""
        self._call(lambda control: control.reset())

    def _call[T](self, operation: Callable[[Control], T]) -> T:
        """Run an operation in the simulator's thread, the only one that touches its state."""

        async def run() -> T:
            return operation(self._control)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def _run(self, directory: Path, ready: Future[Addresses]) -> None:
        try:
            asyncio.run(self._serve(directory, ready))
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def _serve(self, directory: Path, ready: Future[Addresses]) -> None:
        server = Server(directory, self._settings)
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._control = server.control
        try:
            ready.set_result(await server.start(*self._ports))
            await self._stop.wait()
        finally:
            await server.stop()

    def _clean_up(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None
