"""DELETE in batches: a long one would hold its locks, and end at the statement's time limit."""

from sqlalchemy import ColumnElement, CursorResult, delete, select
from sqlalchemy.orm import InstrumentedAttribute, Session


def delete_some(
    session: Session, key: "InstrumentedAttribute[object]", old: ColumnElement[bool], limit: int
) -> int:
    """Delete up to `limit` rows, found by their primary key; return how many.

    Rows that another transaction has locked are left for later.
    """
    rows = select(key).where(old).limit(limit).with_for_update(skip_locked=True)
    result = session.execute(
        delete(key.class_).where(key.in_(rows)).execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)  # noqa: S101 - for the type checker
    return result.rowcount
