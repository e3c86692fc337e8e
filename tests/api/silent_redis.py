"""A way to Redis on which subscriptions can fall silent while all else goes on."""

import asyncio
import threading
from types import TracebackType
from typing import Self


class SilentRedis:
    """Forwards to a Redis on `port`; while `silent`, drops what subscribed connections send and
    receive, without closing them."""

    def __init__(self, port: int) -> None:
        self.silent = False
        self.subscribed = 0
        self._to = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result(5)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        subscribed = asyncio.Event()
        try:
            await asyncio.wait(
                [
                    asyncio.create_task(self._forward(reader, back, subscribed, asks=True)),
                    asyncio.create_task(self._forward(there, writer, subscribed)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            back.close()
            writer.close()

    async def _forward(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        subscribed: asyncio.Event,
        *,
        asks: bool = False,
    ) -> None:
        while data := await source.read(65_536):
            if asks and b"SUBSCRIBE" in data.upper():
                subscribed.set()
                self.subscribed += 1
            if not (self.silent and subscribed.is_set()):
                target.write(data)
