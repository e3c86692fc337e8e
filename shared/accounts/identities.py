"""People whose GUID Garmin does not say: a Personal API key may name nothing but a display name."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.database.models import ClientLink, GarminToken, User
from shared.garmin.types import GarminDomain, GarminIdentity
from shared.origin import Origin


def known_identity(
    session: Session, identity: GarminIdentity, domain: GarminDomain, origin: Origin
) -> GarminIdentity:
    """Return the identity under which the person is stored, or will be.

    A display name alone makes nobody the same person: who has it today need not be who had it
    before. It does where the app has connected the same `user_id` to somebody with that name.
    """
    user, name = _connected(session, origin), identity.garmin_display_name
    if user is None or user.domain != domain or name is None or user.garmin_display_name != name:
        return identity
    if identity.is_of_name:
        return identity.model_copy(update={"guid": user.garmin_guid})
    if user.garmin_guid == GarminIdentity.of_name(name).guid:
        _name_guid(session, user, identity.guid)
    return identity


def _name_guid(session: Session, user: User, guid: str) -> None:
    """Note somebody's GUID, now that Garmin says it, unless somebody else is stored with it."""
    same = (User.domain == user.domain, User.garmin_guid == guid)
    if session.scalar(select(User.id).where(*same)) is None:
        user.garmin_guid = guid
        session.flush()


def _connected(session: Session, origin: Origin) -> User | None:
    """Return whom the app has connected to this `user_id` so far."""
    if origin.client_id is None or origin.client_user_id is None:
        return None
    query = (
        select(User)
        .join(GarminToken, GarminToken.user_id == User.id)
        .join(ClientLink, ClientLink.token_id == GarminToken.id)
        .where(
            ClientLink.client_id == origin.client_id,
            ClientLink.client_user_id == origin.client_user_id,
        )
    )
    return session.scalar(query)
