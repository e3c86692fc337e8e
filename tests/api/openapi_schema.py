"""A JSON schema of OpenAPI 3.1 documents, stricter than the official one."""

from typing import Any


def _object(required: str, optional: str = "", /, **inner: object) -> dict[str, Any]:
    names = f"{required} {optional}".split()
    return {
        "type": "object",
        "required": required.split(),
        "properties": {name: inner.get(name, {}) for name in names},
        "additionalProperties": False,
    }


def _map(of: dict[str, Any], names: str = ".*") -> dict[str, Any]:
    return {"type": "object", "patternProperties": {names: of}, "additionalProperties": False}


_TEXT = {"type": "string", "minLength": 1}
_SCHEMA = {"$ref": "https://json-schema.org/draft/2020-12/schema"}
_EXAMPLES = _map(_object("value", "summary description"))
_CONTENT = _map(_object("", "schema example examples", schema=_SCHEMA, examples=_EXAMPLES), ".+/.+")
_HEADERS = _map(
    _object("schema", "description required deprecated", schema=_SCHEMA, description=_TEXT)
)
_PARAMETER = {
    "oneOf": [
        _object(
            "name in required schema",
            "description deprecated",
            **{"in": {"const": "path"}, "required": {"const": True}, "schema": _SCHEMA},
        ),
        _object(
            "name in schema",
            "description required deprecated allowEmptyValue allowReserved",
            **{"in": {"const": "query"}, "schema": _SCHEMA},
        ),
        _object(
            "name in schema",
            "description required deprecated",
            **{"in": {"const": "header"}, "schema": _SCHEMA},
        ),
    ]
}
_LINKS = _map(_object("operationId", "parameters requestBody description", operationId=_TEXT))
_RESPONSE = _object(
    "description",
    "headers content links",
    description=_TEXT,
    headers=_HEADERS,
    content=_CONTENT,
    links=_LINKS,
)
_OPERATION = _object(
    "operationId summary responses",
    "tags description parameters requestBody security deprecated",
    tags={"type": "array", "items": _TEXT, "minItems": 1},
    description=_TEXT,
    responses=_map(_RESPONSE, "^[1-5][0-9][0-9]$"),
    parameters={"type": "array", "items": _PARAMETER, "uniqueItems": True},
    requestBody=_object("content", "required description", content=_CONTENT),
    security={"type": "array", "items": _map({"type": "array"})},
)
OPENAPI_3_1 = _object(
    "openapi info paths components",
    "servers security tags",
    openapi={"pattern": r"^3\.1\.\d+$"},
    tags={"type": "array", "items": _object("name description", name=_TEXT, description=_TEXT)},
    info=_object("title version", "summary description license", title=_TEXT, version=_TEXT),
    paths=_map(_map(_OPERATION, "^(get|put|post|delete|options|head|patch)$"), "^/"),
    components=_object(
        "",
        "schemas securitySchemes",
        schemas=_map(_SCHEMA, r"^[a-zA-Z0-9._-]+$"),
        securitySchemes=_map(
            {
                "oneOf": [
                    _object("type scheme", "description", type={"const": "http"}),
                    _object("type in name", "description", type={"const": "apiKey"}),
                ]
            }
        ),
    ),
)
"""The part of the OpenAPI 3.1 specification that the document may use."""
