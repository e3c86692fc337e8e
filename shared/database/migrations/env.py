"""Run migrations on the database at FITTRACK_DATABASE_URL."""

import sys

from alembic import context
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import OperationalError

from shared.database.models import Base
from shared.errors import ConfigurationError
from shared.settings import DatabaseSettings

_CONNECT_SECONDS = 10

_CAUSES = (
    ("authentication failed", "the server rejects the user name or the password"),
    ("no password supplied", "the server requires a password, and the URL has none"),
    ("pg_hba.conf", "the server does not allow this user to connect from here"),
    ("does not exist", "the server has no such database or user"),
    ("unable to open", "the file can't be opened or created"),
)
"""What the operator reads, by a part of the library's message. That message is not shown: it may
quote the URL."""


def connect(engine: Engine) -> Connection:
    """Connect, or exit with one line."""
    try:
        return engine.connect()
    except OperationalError as error:
        message = str(error.orig)
        causes = (cause for text, cause in _CAUSES if text in message)
        cause = next(causes, "the database does not answer")
        sys.exit(f"alembic: FITTRACK_DATABASE_URL: {cause}")


try:
    url = DatabaseSettings.from_environment().database_url.get_secret_value()
except ConfigurationError as error:
    sys.exit(f"alembic: {error}")

options = {} if url.startswith("sqlite") else {"connect_timeout": _CONNECT_SECONDS}
engine = create_engine(url, hide_parameters=True, connect_args=options)
with connect(engine) as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
