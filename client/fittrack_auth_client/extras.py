"""What an extra of this package brings may be missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from fittrack_auth_client.errors import UsageError


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Raise UsageError where the block imports what is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is missing: pip install 'fittrack-auth-client[{name}]'",
            code="extra_missing",
        ) from None
