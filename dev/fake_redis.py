"""fakeredis as a server: `python -m dev.fake_redis PORT`."""

import sys

from fakeredis import TcpFakeServer

TcpFakeServer.allow_reuse_address = True


def main() -> None:
    server = TcpFakeServer(("127.0.0.1", int(sys.argv[1])), server_type="redis")
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
