"""INSERT … ON CONFLICT, which PostgreSQL and SQLite have in common and SQL has not."""

from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from shared.database.models import Base

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


def insert(session: Session, model: type[Base]) -> "postgresql.Insert | sqlite.Insert":
    """Return the session's database's own INSERT, to which a conflict clause can be added."""
    if session.get_bind().dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(model)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(model)
