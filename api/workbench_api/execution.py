"""Execute requests: read within bounds, and checked against the description before anything runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from fastapi import Request

from workbench import wire
from workbench.calls import Call
from workbench.calls.call import Split
from workbench.errors import InvalidSetting
from workbench_api import negotiation
from workbench_api.problems import Problem

__all__ = ["Execution", "body", "parse"]

_FORMS = ("selection", "href", "value")


@dataclass(frozen=True, slots=True)
class Execution:
    """What an execute request asks for, after all checks that need no data.

    Attributes
    ----------
    call : Call
    parts : Split
    response : {'raw', 'document'}
    media : dict of str to str
        Media type of each output that is wanted.
    """

    call: Call
    parts: Split
    response: Literal["raw", "document"]
    media: dict[str, str]


async def body(request: Request, limit: int) -> bytes:
    """Read a request's body.

    Raises
    ------
    Problem
        413 as soon as it is known to be larger than `limit`.
    """
    said = request.headers.get("Content-Length", "")
    parts, size = [], int(said) if said.isdigit() else 0
    if size <= limit:
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > limit:
                break
            parts.append(part)
    if size > limit:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"The body is larger than {limit} bytes. Put the data into the archive and give a selection.",
        )
    return b"".join(parts)


def parse(process: str, content: bytes, request: Request) -> Execution:
    """Check an execute request against the description of its process.

    Raises
    ------
    WorkbenchError
        What is wrong with it; nothing has been run or read by then.
    """
    asked = _json(content)
    if not isinstance(asked, dict):
        raise InvalidSetting("The body", "is no JSON object", 'Send {"inputs": {...}}.')
    call = Call.of({**asked, "process": process}, "The body")
    parts = call.split()
    for declared in parts.kernel.inputs:
        if declared.required and declared.name not in parts.data:
            raise InvalidSetting(
                process, f"input '{declared.name}' is missing", f"It takes {' or '.join(declared.nouns)}."
            )
    for name, values in parts.data.items():
        for value in values:
            _check_value(name, value)
    nouns = {output.name: output.noun for output in parts.kernel.outputs}
    unknown = set(call.outputs or {}) - set(nouns)
    if unknown:
        raise InvalidSetting(process, f"has no output '{min(unknown)}'", f"Outputs: {', '.join(nouns)}.")
    # No outputs named means all of them, as the standard has it.
    chosen = {name: noun for name, noun in nouns.items() if not call.outputs or name in call.outputs}
    wanted = [media for media, weight in negotiation.accepted(request) if weight]
    response = _response(asked.get("response"), wanted, list(chosen.values()))
    accept = wanted if response == "raw" else []
    return Execution(
        call, parts, response, {name: _media(call, name, noun, accept) for name, noun in chosen.items()}
    )


def _json(content: bytes) -> Any:
    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON number")

    try:
        return json.loads(content, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidSetting("The body", f"is no JSON ({error})", 'Send {"inputs": {...}}.') from error


def _check_value(name: str, value: Mapping[str, Any]) -> None:
    form = next((form for form in _FORMS if form in value), None)
    if form is None:
        raise InvalidSetting(
            f"input '{name}'", "is given as a path, which is not taken here", f"Give {', '.join(_FORMS)}."
        )
    if not isinstance(value[form], str) or not value[form]:
        raise InvalidSetting(f"input '{name}'", f"its {form} is no text", "Give a text that is not empty.")
    if form == "selection":
        from workbench.archive.selection import parse_selections

        parse_selections(value["selection"])


def _media(call: Call, name: str, noun: str, accept: list[str]) -> str:
    """Return the media type of an output: the request's own, one of ``Accept``, or the noun's first."""
    asked = (call.outputs or {}).get(name)
    form = (asked.format if asked is not None else None) or {}
    if form.get("mediaType"):
        return wire.media_of(noun, str(form["mediaType"]))
    offered = list(wire.codec(noun).MEDIA)
    return next((media for media in accept if media in offered), offered[0])


def _response(said: object, wanted: list[str], nouns: list[str]) -> Literal["raw", "document"]:
    """Return the form of the answer: as the request says, else as ``Accept`` says, else raw."""
    if said is not None:
        if said not in ("raw", "document"):
            raise InvalidSetting("response", f"is {said!r}", "Use raw or document.")
        return said
    offered = {media for noun in nouns for media in wire.codec(noun).MEDIA}
    for media in wanted:
        if media == "application/json":
            return "document"
        # A multipart answer holds each output in its own form.
        if "*" in media or media in offered or (media == "multipart/related" and len(nouns) > 1):
            return "raw"
    raise Problem(
        HTTPStatus.NOT_ACCEPTABLE,
        "Nothing that is accepted is offered. "
        f"Accept application/json, or one of {', '.join(sorted(offered))}.",
    )
