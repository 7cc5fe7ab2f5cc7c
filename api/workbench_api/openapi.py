"""The OpenAPI documents: 3.1 as it is derived from the routes, and 3.0 for clients that ask for it.

Both hold everything that they refer to.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi

from workbench import __version__
from workbench_api.problems import MEDIA_TYPE

__all__ = ["BODY", "MEDIA_TYPE_30", "MEDIA_TYPE_31", "answers", "as_30", "document"]

MEDIA_TYPE_30 = "application/vnd.oai.openapi+json;version=3.0"
MEDIA_TYPE_31 = "application/vnd.oai.openapi+json;version=3.1"

_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Kind of the problem"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what to do"},
        "instance": {"type": "string", "format": "uri-reference"},
        "call": {"type": "string", "description": "Id of the request, as the log has it"},
    },
}

_DATA = {
    "description": "Data: a selection from the archive, a link, or the data themselves",
    "oneOf": [
        {
            "type": "object",
            "required": ["selection"],
            "properties": {"selection": {"type": "string", "description": "NET.STA.LOC.CHA@start/end"}},
        },
        {"type": "object", "required": ["href"], "properties": {"href": {"type": "string", "format": "uri"}}},
        {
            "type": "object",
            "required": ["value"],
            "properties": {
                "value": {"type": "string", "description": "Text, or bytes as base64"},
                "mediaType": {"type": "string"},
            },
        },
    ],
}

BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "inputs": {
                        "type": "object",
                        "description": "Data and settings, by name, as the process describes them",
                        "additionalProperties": {
                            "anyOf": [_DATA, {"type": "array", "items": _DATA}, {"description": "A setting"}]
                        },
                    },
                    "outputs": {
                        "type": "object",
                        "additionalProperties": {
                            "type": "object",
                            "properties": {
                                "format": {"type": "object", "properties": {"mediaType": {"type": "string"}}},
                                "transmissionMode": {"type": "string", "enum": ["value", "reference"]},
                            },
                        },
                    },
                    "response": {"type": "string", "enum": ["raw", "document"]},
                },
            }
        }
    },
}
"""The body of an execute request."""


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Declare the problems that a route can answer with."""
    content = {MEDIA_TYPE: {"schema": _PROBLEM}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def document(routes: APIRouter, prefix: str, server: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document, with paths relative to the server's address."""
    whole = get_openapi(
        title="Seismic workbench",
        version=__version__,
        description="OGC API - Processes, Part 1: Core",
        routes=routes.routes,
    )
    base = prefix.rstrip("/")
    whole["paths"] = {path.removeprefix(base) or "/": item for path, item in whole["paths"].items()}
    whole["servers"] = [{"url": server.rstrip("/")}]
    for item in whole["paths"].values():
        for operation in item.values():
            # FastAPI declares its own form of 422, which is never sent here.
            if operation["responses"].get("422", {}).get("description") == "Validation Error":
                del operation["responses"]["422"]
            for answer in operation["responses"].values():
                answer.setdefault("content", {"application/json": {"schema": {}}})
    whole.get("components", {}).get("schemas", {}).pop("HTTPValidationError", None)
    whole.get("components", {}).get("schemas", {}).pop("ValidationError", None)
    return whole


def as_30(part: Any) -> Any:
    """Say the same in OpenAPI 3.0, whose JSON schema is an older one.

    Examples
    --------
    >>> as_30({"openapi": "3.1.0", "exclusiveMinimum": 0, "type": ["number", "null"]})
    {'openapi': '3.0.3', 'minimum': 0, 'exclusiveMinimum': True, 'type': 'number', 'nullable': True}
    """
    if isinstance(part, list):
        return [as_30(item) for item in part]
    if not isinstance(part, dict):
        return part
    said: dict[str, Any] = {}
    for name, value in part.items():
        if name == "openapi":
            said[name] = "3.0.3"
        elif name in ("exclusiveMinimum", "exclusiveMaximum") and not isinstance(value, bool | dict):
            said[f"m{name[10:]}"] = value
            said[name] = True
        elif name == "const":
            said["enum"] = [value]
        elif name == "type" and isinstance(value, list):
            said["type"] = next(kind for kind in value if kind != "null")
            said["nullable"] = "null" in value
        elif name in ("anyOf", "oneOf") and {"type": "null"} in value:
            said[name] = as_30([item for item in value if item != {"type": "null"}])
            said["nullable"] = True
        else:
            said[name] = as_30(value)
    return said
