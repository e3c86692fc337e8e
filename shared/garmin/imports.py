"""What people bring from elsewhere, tokens or a Personal API key, and why it can't be used."""

from shared.crypto.secret import Sealable, Secret
from shared.errors import JobErrorCode, SignInError, TokensRejectedError
from shared.garmin.types import GarminDomain


class ImportedTokens(Sealable):
    """A text that holds tokens in one of the forms that people have; `worker` reads it."""

    tokens: Secret


class ImportedKey(Sealable):
    personal_api_key: Secret


class Import(Sealable):
    """What is to be imported. Stored sealed, and only until the job has ended.

    `domain` is None where the sender does not say.
    """

    given: ImportedTokens | ImportedKey
    domain: GarminDomain | None = None

    @property
    def name(self) -> str:
        """Return the same for the same secret. Secret itself: hash it before storing it."""
        return f"import:{self.given.reveal().decode()}"


class TokensUnreadableError(SignInError):
    """There are no tokens in a known form. `form` is the nearest one, and `fault` what it lacks."""

    code = JobErrorCode.TOKENS_UNREADABLE
    message = (
        "These are no tokens in a form that is known here: garth's dump, its oauth1_token.json and "
        "oauth2_token.json together, or garminconnect's garmin_tokens.json."
    )

    def __init__(self, form: str = "", fault: str = "") -> None:
        super().__init__()
        if form:
            self.message = f"This looks most like {form}, but {fault}."


class TokensNotRenewableError(SignInError):
    """The tokens hold nothing to renew them with, or what they hold is over."""

    code = JobErrorCode.TOKENS_NOT_RENEWABLE
    message = (
        "These tokens can't be renewed: a refresh token (of garth, an OAuth1 token) is missing."
    )


class RenewalOverError(TokensNotRenewableError):
    """The tokens say themselves that they can't be renewed any more."""

    message = "These tokens can't be renewed any more: their time is over. Sign in instead."


class WrongDomainError(SignInError):
    """The tokens are for another of Garmin's systems than the one that was named."""

    code = JobErrorCode.WRONG_DOMAIN
    message = "These tokens are for another domain: choose garmin.com or garmin.cn accordingly."


class ImportRejectedError(TokensRejectedError):
    """Garmin does not accept imported tokens."""

    message = "Garmin does not accept these tokens: they were revoked, or renewed elsewhere since."


class KeyRejectedError(TokensRejectedError):
    """Garmin does not accept a Personal API key."""

    message = "Garmin does not accept this Personal API key: it was revoked, or its time is over."
