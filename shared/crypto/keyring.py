"""Authenticated encryption with a purpose and a subject bound to every blob.

A blob is `1.<key id>.<base64url of nonce and ciphertext>`: AES-256-GCM with a random 96-bit nonce.
Version, key id, purpose and subject are the associated data, so a blob copied to another row or
used for another purpose does not open. Nonces are random: one key may seal 2^32 blobs (NIST SP
800-38D, section 8.3), far more than a service of this kind makes between two rotations.
"""

import base64
import hmac
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.errors import ConfigurationError, SealBrokenError

_VERSION = "1"
_NONCE_BYTES = 12
KEY_BYTES = 32
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


class Purpose(StrEnum):
    """What a blob is for. A blob sealed for one purpose does not open for another."""

    JOB_INPUT = "job-input"
    IMPORT = "import"
    JOB_PROGRESS = "job-progress"
    JOB_OUTCOME = "job-outcome"
    POLL_TOKEN = "poll-token"  # noqa: S105 - a name, no secret
    CHALLENGE = "challenge"
    GARMIN_TOKENS = "garmin-tokens"
    OAUTH_CONSUMER = "oauth-consumer"
    CONNECT_SESSION = "connect-session"
    WEBHOOK_SECRETS = "webhook-secrets"


@dataclass(frozen=True)
class Keyring:
    """Named 256-bit keys: the first seals, all of them open."""

    _keys: dict[str, bytes] = field(repr=False)
    _ciphers: dict[str, AESGCM] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Setting a cipher up costs more than using it.
        ciphers = {key_id: AESGCM(key) for key_id, key in self._keys.items()}
        object.__setattr__(self, "_ciphers", ciphers)

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """Read `2026b:<base64 of 32 bytes>,2026a:<base64>`.

        Raises ConfigurationError, whose text names the key id but never shows a key.
        """
        keys: dict[str, bytes] = {}
        for entry in filter(None, (part.strip() for part in text.split(","))):
            key_id, key = _parse_key(entry)
            if key_id in keys:
                raise ConfigurationError(f"FITTRACK_ENCRYPTION_KEYS names the key {key_id!r} twice")
            keys[key_id] = key
        if not keys:
            raise ConfigurationError("FITTRACK_ENCRYPTION_KEYS is empty: it needs at least one key")
        return cls(keys)

    @property
    def sealing_key_id(self) -> str:
        return next(iter(self._keys))

    @property
    def key_ids(self) -> tuple[str, ...]:
        return tuple(self._keys)

    def seal(self, plaintext: bytes, purpose: Purpose, subject: str) -> bytes:
        """Encrypt for one purpose and one subject (a job id, a user id…): `open` repeats both."""
        key_id = self.sealing_key_id
        nonce = secrets.token_bytes(_NONCE_BYTES)
        associated = _associated_data(key_id, purpose, subject)
        ciphertext = self._ciphers[key_id].encrypt(nonce, plaintext, associated)
        return f"{_VERSION}.{key_id}.".encode() + _encoded(nonce + ciphertext)

    def open(self, blob: bytes, purpose: Purpose, subject: str) -> bytes:
        """Decrypt what `seal` made. Raises SealBrokenError if it does not open."""
        key_id, body = _split(blob)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealBrokenError("sealed with a key this process does not have")
        try:
            raw = base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4))
            if _encoded(raw) != body:
                raise InvalidTag  # another encoding of the same bytes
            nonce, ciphertext = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
            return cipher.decrypt(nonce, ciphertext, _associated_data(key_id, purpose, subject))
        except (InvalidTag, ValueError):
            raise SealBrokenError("a sealed value does not open") from None

    def hash_name(self, text: str) -> str:
        """Return a keyed hash of a name, to recognize it without storing it.

        The key is the last one, which rotation keeps the longest.
        """
        key = hmac.digest(self._keys[self.key_ids[-1]], b"fittrack name hash", "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()


def _parse_key(entry: str) -> tuple[str, bytes]:
    key_id, separator, encoded = entry.partition(":")
    if not separator or not _KEY_ID.fullmatch(key_id):
        raise ConfigurationError(
            "FITTRACK_ENCRYPTION_KEYS must read NAME:BASE64[,NAME:BASE64…], each NAME of 1 to 32 "
            "letters, digits, dashes or underscores"
        )
    try:
        key = base64.b64decode(encoded.strip(), validate=True)
    except ValueError:
        raise ConfigurationError(
            f"FITTRACK_ENCRYPTION_KEYS: the key {key_id!r} is not base64"
        ) from None
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"FITTRACK_ENCRYPTION_KEYS: the key {key_id!r} has {len(key)} bytes, "
            f"it needs {KEY_BYTES}"
        )
    return key_id, key


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _split(blob: bytes) -> tuple[str, bytes]:
    parts = blob.split(b".", 2)
    if len(parts) != 3 or parts[0] != _VERSION.encode():
        raise SealBrokenError("not a sealed value")
    return parts[1].decode("ascii", "replace"), parts[2]


def _associated_data(key_id: str, purpose: Purpose, subject: str) -> bytes:
    return "\0".join((_VERSION, key_id, purpose, subject)).encode()
