"""Who asked for something, as far as it may be kept: ids, an address, a keyed hash, no name."""

import uuid

from pydantic import BaseModel, ConfigDict


class Origin(BaseModel):
    """Travels with a job, in the clear, from the request to the audit log.

    `account` is the keyed hash of the Garmin account's name. `client_id` is the app that asked,
    and `client_user_id` that app's own id for the person. `address` is the client's, as the
    operator's proxies told it.
    """

    model_config = ConfigDict(frozen=True)

    account: str | None = None
    client_id: uuid.UUID | None = None
    client_user_id: str | None = None
    address: str | None = None
    request_id: str | None = None


UNKNOWN = Origin()
"""Nobody in particular: the service itself."""
