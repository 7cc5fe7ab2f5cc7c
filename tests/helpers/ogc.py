"""Schemas of OGC API - Processes, Part 1, version 1.0 (18-062r2), as far as the tests need them.

Written down from the standard's process.yaml, processList.yaml, landingPage.yaml,
results.yaml and the schemas that they refer to.  Schema objects are those of
OpenAPI 3.0, which lets anybody add members that begin with ``x-``.
"""

from __future__ import annotations

from typing import Any

import jsonschema

LINK = {
    "type": "object",
    "required": ["href"],
    "properties": {key: {"type": "string"} for key in ("href", "rel", "type", "hreflang", "title")},
}

_COUNT = {"type": "integer", "minimum": 0}
_NESTED = {"$ref": "#/$defs/schema"}

SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "multipleOf": {"type": "number", "exclusiveMinimum": 0},
        "maximum": {"type": "number"},
        "exclusiveMaximum": {"type": "boolean"},
        "minimum": {"type": "number"},
        "exclusiveMinimum": {"type": "boolean"},
        "maxLength": _COUNT,
        "minLength": _COUNT,
        "pattern": {"type": "string", "format": "regex"},
        "maxItems": _COUNT,
        "minItems": _COUNT,
        "uniqueItems": {"type": "boolean"},
        "maxProperties": _COUNT,
        "minProperties": _COUNT,
        "required": {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True},
        "enum": {"type": "array", "minItems": 1},
        "type": {"enum": ["array", "boolean", "integer", "number", "object", "string"]},
        "not": _NESTED,
        "allOf": {"type": "array", "items": _NESTED},
        "oneOf": {"type": "array", "items": _NESTED},
        "anyOf": {"type": "array", "items": _NESTED},
        "items": _NESTED,
        "properties": {"type": "object", "additionalProperties": _NESTED},
        "additionalProperties": {"oneOf": [_NESTED, {"type": "boolean"}]},
        "description": {"type": "string"},
        "format": {"type": "string"},
        "default": {},
        "nullable": {"type": "boolean"},
        "readOnly": {"type": "boolean"},
        "writeOnly": {"type": "boolean"},
        "example": {},
        "deprecated": {"type": "boolean"},
        "contentMediaType": {"type": "string"},
        "contentEncoding": {"type": "string"},
        "contentSchema": {"type": "string"},
    },
    "patternProperties": {"^x-": {}},
    "additionalProperties": False,
}

_DESCRIPTION = {
    "title": {"type": "string"},
    "description": {"type": "string"},
    "keywords": {"type": "array", "items": {"type": "string"}},
    "metadata": {"type": "array"},
}

_SUMMARY = {
    **_DESCRIPTION,
    "id": {"type": "string"},
    "version": {"type": "string"},
    "jobControlOptions": {
        "type": "array",
        "items": {"enum": ["sync-execute", "async-execute", "dismiss"]},
    },
    "outputTransmission": {"type": "array", "items": {"enum": ["value", "reference"]}},
    "links": {"type": "array", "items": LINK},
}

PROCESS = {
    "$defs": {"schema": SCHEMA},
    "type": "object",
    "required": ["id", "version"],
    "properties": {
        **_SUMMARY,
        "inputs": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["schema"],
                "properties": {
                    **_DESCRIPTION,
                    "minOccurs": {"type": "integer"},
                    "maxOccurs": {"oneOf": [{"type": "integer"}, {"enum": ["unbounded"]}]},
                    "schema": _NESTED,
                },
            },
        },
        "outputs": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["schema"],
                "properties": {**_DESCRIPTION, "schema": _NESTED},
            },
        },
    },
}

PROCESS_LIST = {
    "type": "object",
    "required": ["processes", "links"],
    "properties": {
        "processes": {
            "type": "array",
            "items": {"type": "object", "required": ["id", "version"], "properties": _SUMMARY},
        },
        "links": {"type": "array", "items": LINK},
    },
}

LANDING = {
    "type": "object",
    "required": ["links"],
    "properties": {
        "title": {"type": "string"},
        "description": {"type": "string"},
        "links": {"type": "array", "items": LINK},
    },
}

CONFORMANCE = {
    "type": "object",
    "required": ["conformsTo"],
    "properties": {"conformsTo": {"type": "array", "items": {"type": "string", "format": "uri"}}},
}

PROBLEM = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
    },
}


def check(content: Any, schema: dict[str, Any]) -> None:
    """Fail with what does not fit the schema."""
    jsonschema.Draft202012Validator(schema).validate(content)
