"""The time by the database's clock, which is one for all processes (SQLite's is the process's)."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement

from shared.database.models import UtcDateTime


class utc_now(FunctionElement[datetime]):
    """The moment at which the statement runs, also late in a long transaction."""

    type = UtcDateTime()
    inherit_cache = True


_NOW = select(utc_now())


def database_now(session: Session) -> datetime:
    """Return the time by the database's clock."""
    return session.execute(_NOW).scalar_one()


@compiles(utc_now, "postgresql")
def _postgresql(*_: Any, **__: Any) -> str:  # noqa: ANN401 - SQLAlchemy's signature
    return "clock_timestamp()"


@compiles(utc_now, "sqlite")
def _sqlite(*_: Any, **__: Any) -> str:  # noqa: ANN401 - SQLAlchemy's signature
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"  # as SQLAlchemy stores times
