"""Request bodies and parameters, and what they may hold."""

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    SecretStr,
    StringConstraints,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_before_validator_function

from api.contract import examples
from shared.garmin.imports import ImportedKey, ImportedTokens
from shared.garmin.types import GarminDomain

MAX_BODY_BYTES = 16 * 1024
MAX_WAIT_SECONDS = 30
MAX_USER_ID_LENGTH = 128
MAX_PAGE = 200
DEFAULT_PAGE = 50

_CONTROL = r"\x00-\x1f\x7f-\x9f"
INVISIBLE = (
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""What Unicode calls ignorable, line separators, Egyptian joiners and the blank Braille pattern.

With one of them in it, a name looks like another. (ECMA-262 has no escape for the last row.)
"""

_UNSEEN = _CONTROL + INVISIBLE
_SPACE = rf"[^\S{_UNSEEN}]"


@dataclass(frozen=True)
class Shape:
    """A pattern that is checked before anything is stripped, and that the document shows.

    It means the same to Python and to ECMA-262, and begins with `^` and ends with `$`.
    """

    pattern: str
    message: str

    def check(self, value: object) -> object:
        if isinstance(value, str) and not self.fits(value):
            raise ValueError(self.message)
        return value

    def fits(self, text: str) -> bool:
        # `fullmatch`, as Python's `$` forgives a line break at the end.
        return re.fullmatch(self.pattern, text) is not None

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "pattern": self.pattern}


JOB_ID = Shape(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "must be a lower-case UUID")
IDEMPOTENCY_KEY = Shape(r"^[!-~]{1,255}$", "must be 1 to 255 visible ASCII characters")
USER_ID = Shape(
    rf"^(?!(?:.*/)?\.{{1,2}}(?:/|$))[^{_UNSEEN}]{{1,{MAX_USER_ID_LENGTH}}}$",
    "must be 1 to 128 characters, without control or invisible characters, and without a segment "
    "of one or two dots between slashes, which no URL can hold",
)
CURSOR = Shape(r"^[A-Za-z0-9_-]{1,1024}$", "must be the `next_cursor` of an earlier response")
_SHA256 = Shape(r"^[0-9A-Fa-f]{64}$", "must be a SHA-256 in hex: 64 digits")
_PLAIN_TEXT = Shape(rf"^[^{_CONTROL}]*$", "must not contain control characters")
_USERNAME = Shape(
    rf"^{_SPACE}*[^\s{_UNSEEN}][^{_UNSEEN}]+[^\s{_UNSEEN}]{_SPACE}*$",
    "must be at least 3 characters, not counting spaces around it, without control or invisible "
    "characters",
)
_KEY = Shape(r"^[ \t\r\n]*[!-~]+[ \t\r\n]*$", "must be visible ASCII characters")
_SPACES = r"\t-\r \xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_SEPARATORS = rf"[{_SPACES}\-\ufe63\uff0d{INVISIBLE}]*"
_LETTER_OR_DIGIT = r"[A-Za-z0-9\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]"
_CODE = Shape(
    rf"^{_SEPARATORS}(?:{_LETTER_OR_DIGIT}{_SEPARATORS}){{4,10}}$",
    "must be 4 to 10 letters or digits",
)


def _number(value: object) -> object:
    """Refuse what pydantic would take for a whole number, and JSON Schema does not."""
    if isinstance(value, bool | str):
        raise ValueError("must be a whole number")
    return value


def _plain_code(code: SecretStr) -> SecretStr:
    """Return the letters and digits alone, full-width ones as plain ones."""
    text = unicodedata.normalize("NFKC", code.get_secret_value())
    return SecretStr(re.sub(r"[^A-Za-z0-9]", "", text))


def _nothing() -> SecretStr:
    return SecretStr("")


def _stripped(secret: SecretStr) -> SecretStr:
    return SecretStr(secret.get_secret_value().strip())


class StrictRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


USERNAME = Annotated[
    str, StringConstraints(min_length=3, max_length=254), _USERNAME, AfterValidator(str.strip)
]
PASSWORD = Annotated[SecretStr, Field(min_length=1, max_length=256), _PLAIN_TEXT]
CODE = Annotated[SecretStr, Field(min_length=4, max_length=32), _CODE, AfterValidator(_plain_code)]


class LoginRequest(StrictRequest):
    """The credentials of a Garmin account."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.LOGIN]})

    username: USERNAME = Field(
        repr=False, description="The e-mail address or name the person uses at Garmin."
    )
    password: PASSWORD = Field(
        description="The person's Garmin password. Deleted as soon as the job has ended."
    )
    domain: GarminDomain = Field(
        GarminDomain.COM, description="Where the account lives: `garmin.cn` for mainland China."
    )
    user_id: Annotated[str, USER_ID] | None = Field(
        None, description="Your own id for the person. Requires `X-Client-Key`."
    )


def _as_text(value: object) -> object:
    """Return a text as it is, and an object or a list as JSON."""
    if isinstance(value, dict | list):
        return json.dumps(value)  # ValueError: a number with thousands of digits
    if not isinstance(value, str):
        raise ValueError("must be a string, an object or a list")
    return value


class _TokensSchema:
    """What the document says of tokens: the field itself is a text from here on."""

    @staticmethod
    def __get_pydantic_json_schema__(
        schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        forms: list[dict[str, Any]] = [
            {"type": "string", "minLength": 1},
            {"type": "object"},
            {"type": "array", "items": {}},
        ]
        return {"anyOf": forms, "writeOnly": True}


_ONE_OF_BOTH: list[JsonValue] = [{"required": ["tokens"]}, {"required": ["personal_api_key"]}]


class BroughtRequest(StrictRequest):
    """Tokens that the person already has, or a Personal API key: one of both."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"personal_api_key": examples.SECRET}],
            "oneOf": _ONE_OF_BOTH,
        }
    )

    tokens: Annotated[
        SecretStr, Field(min_length=1), BeforeValidator(_as_text), _TokensSchema()
    ] = Field(
        default_factory=_nothing,
        description="What garth or garminconnect has stored, as a string or as JSON: garth's dump, "
        "its two objects, or the object of `garmin_tokens.json`.",
    )
    personal_api_key: Annotated[
        SecretStr, Field(min_length=1, max_length=1024), _KEY, AfterValidator(_stripped)
    ] = Field(
        default_factory=_nothing,
        description="A Personal API key that the person has made at Garmin Connect.",
    )

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if len({"tokens", "personal_api_key"} & self.model_fields_set) != 1:
            raise ValueError("needs one of tokens and personal_api_key, and not both")
        return self

    @property
    def given(self) -> ImportedTokens | ImportedKey:
        if "tokens" in self.model_fields_set:
            return ImportedTokens(tokens=self.tokens)
        return ImportedKey(personal_api_key=self.personal_api_key)


class ImportRequest(BroughtRequest):
    """Tokens that the person already has, or a Personal API key: one of both."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [examples.IMPORT, examples.KEY_IMPORT],
            "oneOf": _ONE_OF_BOTH,
        }
    )

    domain: GarminDomain | None = Field(
        None, description="Where the account lives, if the tokens do not say: `garmin.com`."
    )
    user_id: Annotated[str, USER_ID] | None = Field(
        None, description="Your own id for the person. Requires `X-Client-Key`."
    )


class TokenRequest(StrictRequest):
    """Which access token is good enough."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.TOKEN_REQUEST]})

    min_valid_for: Annotated[int, BeforeValidator(_number)] = Field(
        300, ge=0, le=3600, description="Seconds for which the token has to be valid at least."
    )
    rejected: Annotated[str, _SHA256, AfterValidator(str.lower)] | None = Field(
        None,
        description="The SHA-256, in hex, of an access token that Garmin answered with 401: "
        "another one is returned.",
    )


CHALLENGE_ID = Annotated[SecretStr, Field(min_length=1, max_length=128), _PLAIN_TEXT]


class ResendRequest(StrictRequest):
    """The challenge whose code is to be sent again."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"challenge_id": examples.CODE["challenge_id"]}]}
    )

    challenge_id: CHALLENGE_ID = Field(description="The job's `mfa_challenge_id`.")


class CodeRequest(StrictRequest):
    """The one-time code for a sign-in that requires one."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CODE]})

    challenge_id: CHALLENGE_ID = Field(description="The job's `mfa_challenge_id`.")
    mfa_code: CODE = Field(
        description="4 to 10 letters or digits, full-width ones too; spaces, line breaks, dashes "
        "and invisible characters are ignored."
    )
