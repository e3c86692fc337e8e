"""Everything that is stored, as text."""

from redis import Redis
from sqlalchemy import MetaData, create_engine, select


def dump_redis(redis: Redis) -> bytes:
    """Every key and every value of one database."""
    return b"\n".join(repr((key, _read(redis, key))).encode() for key in redis.scan_iter())


def _read(redis: Redis, key: bytes | str) -> object:
    match redis.type(key):
        case b"hash":
            return redis.hgetall(key)
        case b"string":
            return redis.get(key)
        case b"list":
            return redis.lrange(key, 0, -1)
        case b"set":
            return redis.smembers(key)
        case b"zset":
            return redis.zrange(key, 0, -1)
        case b"stream":
            return redis.xrange(key)
        case b"none":
            return None  # gone since it was listed: the broker's own locks come and go
        case other:
            raise AssertionError(other)


def dump_database(url: str) -> bytes:
    """Every row of every table there is."""
    engine = create_engine(url)
    tables = MetaData()
    with engine.connect() as connection:
        tables.reflect(connection)
        rows = [
            f"{table.name}: {row!r}"
            for table in tables.sorted_tables
            for row in connection.execute(select(table))
        ]
    engine.dispose()
    return "\n".join(rows).encode()
