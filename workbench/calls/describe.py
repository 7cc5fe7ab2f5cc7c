"""What a kernel is, as JSON: for ``workbench describe``, for the web, for forms and for the docs.

Words come from the docstring, types and bounds from the annotations.  The
schemas are complete in themselves and stay within what JSON Schema 2020-12 and
OpenAPI 3.0 both know, since the OGC's own schema for process descriptions is
of the latter kind.

References
----------
OGC API - Processes - Part 1: Core, OGC 18-062r2, 2021, section 7.10.
"""

from __future__ import annotations

import inspect
import types
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import docstring_parser
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from docstring_parser.common import Docstring, DocstringStyle
from pydantic_core import to_jsonable_python
from typing_extensions import TypeAliasType

import workbench
from workbench import wire
from workbench.kernel import DataInput, Kernel, Output
from workbench.nouns import VelocityModel
from workbench.units import Unit

__all__ = ["describe", "docstring", "parameter_docs", "schema", "schema_of", "summary"]

_TEXT = ("csv", "json", "xml")
_SELECTABLE = frozenset({"Waveforms", "Stations", "Events", "Spans"})


def summary(kernel: Kernel) -> dict[str, Any]:
    """Return id, title and version: one row of a list."""
    return {
        "id": kernel.id,
        "version": workbench.__version__,
        "title": docstring(kernel).short_description or kernel.id,
        "keywords": [kernel.topic],
    }


def describe(kernel: Kernel) -> dict[str, Any]:
    """Return all that surfaces need to know about a kernel.

    Examples
    --------
    >>> from workbench import kernel
    >>> describe(kernel.get("triggers.sta_lta"))["inputs"]["sta"]["schema"]["x-ogc-unit"]
    's'
    """
    text = docstring(kernel)
    words = parameter_docs(kernel)
    inputs = {item.name: _data_input(item, words.get(item.name, "")) for item in kernel.inputs}
    for name, field in kernel.settings.model_fields.items():
        inputs[name] = {
            "title": name,
            "description": words.get(name, ""),
            "minOccurs": int(field.is_required()),
            "maxOccurs": 1,
            "schema": schema_of(kernel, name),
        }
    returns = text.returns.description if text.returns is not None else ""
    return {
        **summary(kernel),
        "description": text.long_description or text.short_description or "",
        "inputs": inputs,
        "outputs": {item.name: _output(item, returns or "") for item in kernel.outputs},
        "example": _section(kernel, "Examples"),
        "references": _section(kernel, "References"),
        "notes": _section(kernel, "Notes"),
        "per": kernel.per,
        "cut": kernel.cut,
        "cut_tolerance": kernel.cut_tolerance,
    }


def schema_of(kernel: Kernel, setting: str) -> dict[str, Any]:
    """Return the JSON schema of a setting, with its default."""
    field = kernel.settings.model_fields[setting]
    described = schema(get_type_hints(kernel.function, include_extras=True)[setting])
    if not field.is_required():
        described["default"] = to_jsonable_python(field.default)
    return described


def schema(hint: Any) -> dict[str, Any]:
    """Return the JSON schema of the type of a setting.

    Examples
    --------
    >>> from workbench.units import Hertz
    >>> schema(Hertz | None)
    {'type': 'number', 'x-ogc-unit': 'Hz', 'minimum': 0, 'not': {'enum': [0]}, 'nullable': True}
    """
    if isinstance(hint, TypeAliasType):
        return schema(hint.__value__)
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        found = schema(args[0])
        for item in args[1:]:
            _bound(found, item)
        return found
    if origin in (Union, types.UnionType):
        members = [schema(member) for member in args if member is not type(None)]
        found = members[0] if len(members) == 1 else {"anyOf": members}
        return {**found, "nullable": True} if type(None) in args else found
    if origin is Literal:
        kinds = {type(value) for value in args}
        kind = {str: "string", bool: "boolean", int: "integer"}[kinds.pop()] if len(kinds) == 1 else None
        return {**({"type": kind} if kind else {}), "enum": list(args)}
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return {"type": "array", "items": schema(args[0])}
        items = (
            schema(args[0]) if len({str(arg) for arg in args}) == 1 else {"anyOf": [schema(a) for a in args]}
        )
        return {"type": "array", "items": items, "minItems": len(args), "maxItems": len(args)}
    if hint is VelocityModel:
        return _plain(VelocityModel.__get_pydantic_json_schema__(None, None))  # type: ignore[arg-type]
    return {"type": {float: "number", int: "integer", bool: "boolean", str: "string"}[hint]}


@cache
def docstring(kernel: Kernel) -> Docstring:
    """Return the docstring of a kernel, parsed."""
    return docstring_parser.parse(kernel.function.__doc__ or "", style=DocstringStyle.NUMPYDOC)


def parameter_docs(kernel: Kernel) -> dict[str, str]:
    """Return what the docstring says about each parameter; ``lead, trail : float`` are two."""
    found: dict[str, str] = {}
    for item in docstring(kernel).params:
        for name in item.arg_name.split(","):
            found[name.strip()] = " ".join((item.description or "").split())
    return found


def _bound(found: dict[str, Any], item: object) -> None:
    # An exclusive bound is a number in one dialect and a flag in the other;
    # "not that very value" is the same thing, and known to both.
    if isinstance(item, Ge):
        found["minimum"] = item.ge
    elif isinstance(item, Gt):
        found["minimum"] = item.gt
        found["not"] = {"enum": [item.gt]}
    elif isinstance(item, Le):
        found["maximum"] = item.le
    elif isinstance(item, Lt):
        found["maximum"] = item.lt
        found["not"] = {"enum": [*found.get("not", {}).get("enum", []), item.lt]}
    elif isinstance(item, MinLen):
        found["minItems" if found.get("type") == "array" else "minLength"] = item.min_length
    elif isinstance(item, MaxLen):
        found["maxItems" if found.get("type") == "array" else "maxLength"] = item.max_length
    elif isinstance(item, Unit):
        found["x-ogc-unit"] = item.ucum
        if item.datum:
            found["description"] = item.datum


def _plain(found: Any) -> Any:
    """Say ``nullable`` where a list of types says ``null``."""
    if isinstance(found, list):
        return [_plain(item) for item in found]
    if not isinstance(found, dict):
        return found
    clean = {key: _plain(value) for key, value in found.items()}
    kinds = clean.get("type")
    if isinstance(kinds, list):
        clean["type"] = next(kind for kind in kinds if kind != "null")
        clean["nullable"] = "null" in kinds
    return clean


def _data_input(item: DataInput, words: str) -> dict[str, Any]:
    nouns = [*item.nouns, "Events"] if "Picks" in item.nouns and "Events" not in item.nouns else item.nouns
    choices: list[dict[str, Any]] = [_bytes(media) for noun in nouns for media in _readable(noun)]
    unique = [choice for index, choice in enumerate(choices) if choice not in choices[:index]]
    if _SELECTABLE & set(nouns):
        unique.append(
            {
                "type": "object",
                "required": ["selection"],
                "properties": {
                    "selection": {"type": "string", "example": "GR.FUR..HH?@2020-01-01/2020-01-02"}
                },
            }
        )
    return {
        "title": item.name,
        "description": words,
        "minOccurs": int(item.required),
        "maxOccurs": "unbounded",
        "schema": {"oneOf": unique},
        "x-nouns": list(item.nouns),
    }


def _output(item: Output, words: str) -> dict[str, Any]:
    return {
        "title": item.name,
        "description": " ".join(words.split()),
        "schema": {"oneOf": [_bytes(media) for media in wire.codec(item.noun).MEDIA]},
        "x-nouns": [item.noun],
    }


def _readable(noun: str) -> list[str]:
    return [
        media
        for media in wire.codec(noun).MEDIA
        if media not in ("image/png", "application/geo+json")
        and not (noun in ("Waveforms", "Dataset", "Events") and media == "text/csv")
        and not (noun == "Dataset" and media == "application/json")
    ]


def _bytes(media: str) -> dict[str, Any]:
    text = media.endswith(_TEXT)
    return {
        "type": "string",
        "contentMediaType": media,
        **({} if text else {"contentEncoding": "base64"}),
    }


def _section(kernel: Kernel, title: str) -> str:
    """Return a section of the docstring as it stands."""
    lines = (inspect.getdoc(kernel.function) or "").splitlines()
    ruled = [
        index
        for index, line in enumerate(lines[1:], 1)
        if line.strip() and set(line.strip()) == {"-"} and lines[index - 1].strip()
    ]
    for index, rule in enumerate(ruled):
        if lines[rule - 1].strip() == title:
            stop = ruled[index + 1] - 1 if index + 1 < len(ruled) else len(lines)
            return "\n".join(lines[rule + 1 : stop]).strip()
    return ""
