"""A secret text, and models that write it out only where they are sealed."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, PlainSerializer, SecretStr, SerializationInfo

_REVEAL = "reveal"


def _write(value: SecretStr, info: SerializationInfo[dict[str, Any] | None]) -> str:
    revealed = bool(info.context and info.context.get(_REVEAL))
    return value.get_secret_value() if revealed else str(value)


Secret = Annotated[SecretStr, PlainSerializer(_write, return_type=str)]
"""Hidden in `repr`, in tracebacks and in every dump but `Sealable.reveal`."""


class Sealable(BaseModel):
    """A frozen model that is kept sealed."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    def reveal(self) -> bytes:
        """The JSON with its secrets in it: hand it to `Keyring.seal` and to nothing else."""
        return self.model_dump_json(context={_REVEAL: True}).encode()

    @classmethod
    def from_revealed(cls, data: bytes) -> Self:
        """Reads what `reveal` wrote."""
        return cls.model_validate_json(data)
