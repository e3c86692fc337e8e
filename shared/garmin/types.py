"""Types exchanged between API, workers and drivers: credentials, pending sign-ins, tokens."""

import hashlib
import unicodedata
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import StringConstraints

from shared.crypto.secret import Sealable, Secret

_NAMED = "name:"
_NAME_DIGITS = 48


class GarminDomain(StrEnum):
    """Garmin's two systems. Accounts of one do not exist in the other."""

    COM = "garmin.com"
    CN = "garmin.cn"


class Credentials(Sealable):
    """A Garmin username and password. Stored sealed, and only until the job has ended."""

    username: Secret
    password: Secret
    domain: GarminDomain = GarminDomain.COM

    @property
    def account(self) -> str:
        """Return the domain and username, normalized: case, width and composition don't matter.

        Personal data: hash it before storing it.
        """
        name = unicodedata.normalize("NFKC", self.username.get_secret_value()).strip()
        # Folding may take a character apart.
        return f"{self.domain}:{unicodedata.normalize('NFKC', name.casefold())}"


class CodeSubmission(Sealable):
    """A one-time code for a challenge."""

    challenge_id: Secret
    code: Secret


class CodeResend(Sealable):
    """The challenge whose code is to be sent again."""

    challenge_id: Secret


class PendingSignIn(Sealable):
    """What a driver needs to complete a sign-in with a code.

    `state` is JSON that only the driver named by `driver` reads: cookies and form fields of the
    pending sign-in. `mfa_destination` is masked by Garmin. `can_resend` says whether its flow has
    a request that sends the code again.
    """

    driver: str
    domain: GarminDomain
    mfa_type: str
    mfa_destination: str | None
    state: Secret
    can_resend: bool = False


class GarminTokens(Sealable):
    """Garmin's tokens. `data` is JSON that only the driver named by `driver` reads."""

    driver: str
    domain: GarminDomain
    data: Secret
    access_expires_at: datetime
    refresh_expires_at: datetime


class GarminIdentity(Sealable):
    """Whose tokens they are, according to Garmin's profile.

    `guid` is `garminGUID`, which does not change when the display name does. `display_name` is for
    people, `garmin_display_name` for the addresses of Garmin's API; both are None if only the
    tokens themselves say whose they are.
    """

    guid: str
    display_name: str | None
    garmin_display_name: str | None = None

    @classmethod
    def of_name(cls, garmin_display_name: str) -> Self:
        """Return the identity of somebody whose GUID Garmin does not say.

        It is nobody's with a GUID: who has a name today need not be who had it before.
        """
        digest = hashlib.sha256(garmin_display_name.encode()).hexdigest()
        guid = f"{_NAMED}{digest[:_NAME_DIGITS]}"
        return cls(guid=guid, display_name=None, garmin_display_name=garmin_display_name)

    @property
    def is_of_name(self) -> bool:
        return self.guid.startswith(_NAMED)


class OAuthConsumer(Sealable):
    """What garth signs its OAuth1 requests with: public, and the same for everybody.

    The fields are those of Garmin's consumer file. Other values than short printable texts are
    refused, wherever they come from.
    """

    consumer_key: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]
    consumer_secret: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]


class SignedIn(Sealable):
    """Sign-in succeeded. `driver` signed in, if it is not the one that the tokens belong to."""

    tokens: GarminTokens
    driver: str | None = None


class CodeRequired(Sealable):
    """Sign-in needs a one-time code."""

    pending: PendingSignIn
