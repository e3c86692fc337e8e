"""What is said about a Garmin account between the rooms: credentials, pending sign-ins, tokens."""

import unicodedata
from datetime import datetime
from enum import StrEnum

from shared.crypto.secret import Sealable, Secret


class GarminDomain(StrEnum):
    """Garmin's two worlds. An account of one does not exist in the other."""

    COM = "garmin.com"
    CN = "garmin.cn"


class Credentials(Sealable):
    """What the person typed. Lives sealed, and only until the job has ended."""

    username: Secret
    password: Secret
    domain: GarminDomain = GarminDomain.COM

    @property
    def account(self) -> str:
        """The account's name as Garmin takes it: case and width of letters make no difference.

        Personal: hash it before it is kept.
        """
        name = unicodedata.normalize("NFKC", self.username.get_secret_value())
        return f"{self.domain}:{name.strip().casefold()}"


class CodeSubmission(Sealable):
    """A one-time code for a challenge."""

    challenge_id: Secret
    code: Secret


class PendingSignIn(Sealable):
    """What a driver needs to go on once the code is there.

    `state` is JSON text that only the driver named by `driver` reads: cookies and form fields of
    the half-done Garmin session. `mfa_destination` is masked by Garmin.
    """

    driver: str
    domain: GarminDomain
    mfa_type: str
    mfa_destination: str | None
    state: Secret


class GarminTokens(Sealable):
    """What Garmin gave us. `data` is JSON text that only the driver named by `driver` reads."""

    driver: str
    domain: GarminDomain
    data: Secret
    access_expires_at: datetime
    refresh_expires_at: datetime


class GarminIdentity(Sealable):
    """Who the tokens belong to, as Garmin's profile says.

    `guid` is `garminGUID`, which stays when a person renames themselves.
    """

    guid: str
    display_name: str


class SignedIn(Sealable):
    """Garmin's yes."""

    tokens: GarminTokens


class CodeRequired(Sealable):
    """Garmin's "not without a code"."""

    pending: PendingSignIn
