"""What the commands work on: the settings of the service, and its database."""

from shared.database.engine import Database
from shared.settings import Settings


def open_database(settings: Settings) -> Database:
    """Raises ConfigurationError if it does not answer or is not migrated."""
    return Database.migrated(settings.database_url.get_secret_value())
