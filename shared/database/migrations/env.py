"""Runs migrations on the database that FITTRACK_DATABASE_URL names."""

import sys

from alembic import context
from sqlalchemy import create_engine

from shared.database.models import Base
from shared.errors import ConfigurationError
from shared.settings import DatabaseSettings

try:
    url = DatabaseSettings.from_environment().database_url.get_secret_value()
except ConfigurationError as error:
    sys.exit(f"alembic: {error}")

engine = create_engine(url, hide_parameters=True)
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
