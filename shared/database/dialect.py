"""SQLAlchemy's PostgreSQL, as it is with psycopg: its other drivers take half a megabyte.

Imported before the first engine for PostgreSQL is made, which would load them all.
"""

from shared.imports import unused

_DRIVERS = ("asyncpg", "pg8000", "psycopg2", "psycopg2cffi")

with unused(*(f"sqlalchemy.dialects.postgresql.{name}" for name in _DRIVERS)):
    from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

__all__ = ["PGDialect_psycopg"]
