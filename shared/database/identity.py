"""The database's id, which a copy of it shares."""

import uuid

from sqlalchemy.orm import Session

from shared.database.models import DatabaseIdentity

_ONLY_ROW = 1


def database_id(session: Session) -> uuid.UUID:
    """Return the id; make one up the first time."""
    row = session.get(DatabaseIdentity, _ONLY_ROW)
    if row is None:
        row = DatabaseIdentity(number=_ONLY_ROW, id=uuid.uuid4())
        session.add(row)
        session.flush()
    return row.id
