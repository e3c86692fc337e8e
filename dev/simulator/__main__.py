"""Run the simulator as a process: `python -m dev.simulator`."""

import argparse
import asyncio
import json
import shlex
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from dev.simulator.server import Addresses, Server
from dev.simulator.settings import Settings


def main() -> None:
    arguments = _parser().parse_args()
    with TemporaryDirectory(prefix="garmin-simulator-") as temporary:
        directory = arguments.state_dir or Path(temporary)
        settings = Settings(latency_ms=arguments.latency_ms)
        asyncio.run(_serve(directory, settings, arguments))


async def _serve(directory: Path, settings: Settings, arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(directory, settings)
    try:
        addresses = await server.start(arguments.port, arguments.control_port)
        if arguments.env_file is not None:
            arguments.env_file.write_text(_env_file(addresses))
        sys.stdout.write(json.dumps(addresses.as_dict()) + "\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await server.stop()


def _env_file(addresses: Addresses) -> str:
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in addresses.environment().items()]
    return "".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dev.simulator",
        description="Simulate Garmin. Prints one line of JSON when ready.",
    )
    parser.add_argument(
        "--port", type=int, default=0, help="port of the proxy (default: any free one)"
    )
    parser.add_argument(
        "--control-port",
        type=int,
        default=0,
        help="port of the control endpoint (default: any free one)",
    )
    parser.add_argument("--latency-ms", type=float, default=0, help="delay before each response")
    parser.add_argument("--state-dir", type=Path, help="directory that keeps ca.pem between runs")
    parser.add_argument(
        "--env-file", type=Path, help="file to write the environment variables for clients to"
    )
    return parser


if __name__ == "__main__":
    main()
