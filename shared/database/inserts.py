"""INSERT … ON CONFLICT, which PostgreSQL and SQLite have in common and SQL has not."""

from typing import TYPE_CHECKING, cast

from sqlalchemy import Table
from sqlalchemy.orm import Session

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
