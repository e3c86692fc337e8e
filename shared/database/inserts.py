"""INSERTs that don't go through the ORM's unit of work, which costs three times as much.

A statement that is built once and executed with parameters costs a third of one that is built for
each call: what is executed for every sign-in is kept.
"""

import uuid
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy
from sqlalchemy import Table, Uuid, bindparam, select, union_all
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement

from shared.database.models import Base

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


_FEW = 4


def insert_rows(session: Session, model: type[Base], *rows: Mapping[str, Any]) -> None:
    """Insert rows now, a few in one statement: flush before it what they refer to."""
    if 1 < len(rows) <= _FEW:
        values = {f"{name}_{n}": value for n, row in enumerate(rows) for name, value in row.items()}
        session.execute(_insert_few_into(model, len(rows)), values)
    elif rows:
        session.execute(_insert_into(model), list(rows))


def values_of(row: Base) -> dict[str, Any]:
    """Return the values of a row that is not in the database yet."""
    return {name: getattr(row, name) for name in _columns(type(row))}


@cache
def _columns(model: type[Base]) -> tuple[str, ...]:
    return tuple(column.key for column in model.__table__.columns)


@cache
def _insert_few_into(model: type[Base], number: int) -> sqlalchemy.Insert:
    """Return a statement that is kept compiled, as one with several VALUES is not."""
    table = cast("Table", model.__table__)
    rows = [
        select(*(bindparam(f"{column.key}_{n}", type_=column.type) for column in table.columns))
        for n in range(number)
    ]
    return sqlalchemy.insert(table).from_select(list(_columns(model)), union_all(*rows))


@cache
def _insert_into(model: type[Base]) -> sqlalchemy.Insert:
    return sqlalchemy.insert(cast("Table", model.__table__))


def dialect(session: Session) -> str:
    return session.get_bind().dialect.name


def insert_or(dialect: str, model: type[Base]) -> "postgresql.Insert | sqlite.Insert":
    """Return an INSERT to which a conflict clause can be added, in a database's own SQL.

    PostgreSQL and SQLite have INSERT … ON CONFLICT in common, and SQL has not.
    """
    table = cast("Table", model.__table__)
    if dialect == "sqlite":
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
