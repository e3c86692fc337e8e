"""fakeredis as a server of its own: `python -m tests.fake_redis PORT`."""

import sys
from pathlib import Path

from fakeredis import TcpFakeServer

from dev.processes import Process, answers_on, clean_environment, free_port


class FakeRedisServer(Process):
    def __init__(self, folder: Path) -> None:
        port = free_port()
        command = [sys.executable, "-m", "tests.fake_redis", str(port)]
        log = folder / "fakeredis.log"
        super().__init__("fakeredis", command, log, clean_environment(), answers_on(port))
        self.url = f"redis://127.0.0.1:{port}/0"


def main() -> None:
    TcpFakeServer.allow_reuse_address = True
    server = TcpFakeServer(("127.0.0.1", int(sys.argv[1])), server_type="redis")
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
