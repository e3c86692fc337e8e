"""INSERT … ON CONFLICT, which PostgreSQL and SQLite have in common and SQL has not, and new ids."""

import uuid
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Table, Uuid
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement

from shared.database.models import Base

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


def insert(session: Session, model: type[Base]) -> "postgresql.Insert | sqlite.Insert":
    """Return the session's database's own INSERT, to which a conflict clause can be added.

    It is one into the table, not the model, which costs half: flush before it what it refers to.
    """
    table = cast("Table", model.__table__)
    if session.get_bind().dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


class new_uuid(FunctionElement[uuid.UUID]):
    """A random id, another for each row."""

    type = Uuid()
    inherit_cache = True


@compiles(new_uuid, "postgresql")
def _postgresql(*_: Any, **__: Any) -> str:  # noqa: ANN401 - SQLAlchemy's signature
    return "gen_random_uuid()"


@compiles(new_uuid, "sqlite")
def _sqlite(*_: Any, **__: Any) -> str:  # noqa: ANN401 - SQLAlchemy's signature
    return "lower(hex(randomblob(16)))"  # as SQLAlchemy stores ids
