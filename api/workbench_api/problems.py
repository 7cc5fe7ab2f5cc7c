"""Errors as the web says them: one table from error to status, one form for all.

The form is RFC 7807 (``application/problem+json``); ``type`` is the standard's
own URI where OGC API - Processes has one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import Request
from starlette.responses import Response

from workbench import errors

__all__ = ["MEDIA_TYPE", "STATUSES", "ClientGone", "Problem", "from_error", "respond"]

MEDIA_TYPE = "application/problem+json"

_OGC = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"

STATUSES: dict[type[errors.WorkbenchError], HTTPStatus] = {
    errors.UnknownKernel: HTTPStatus.NOT_FOUND,
    errors.InvalidSetting: HTTPStatus.BAD_REQUEST,
    errors.BadInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NoData: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Incomplete: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ResourceExceeded: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.InvalidKernel: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.WorkbenchError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Status of each error; a subclass that is not listed has that of its parent."""

_TYPES: dict[type[errors.WorkbenchError], str] = {errors.UnknownKernel: f"{_OGC}no-such-process"}


@dataclass(slots=True)
class Problem(Exception):
    """Something that a request cannot have.

    Parameters
    ----------
    status : HTTPStatus
    detail : str
        What is wrong and what to do.
    type : str
        URI of the kind of problem; ``about:blank`` where the status says it all.
    """

    status: HTTPStatus
    detail: str
    type: str = "about:blank"
    headers: dict[str, str] | None = None


class ClientGone(Exception):
    """The client closed the connection before its answer was there."""


def from_error(error: errors.WorkbenchError) -> Problem:
    """Return the problem that an error is on the web.

    Examples
    --------
    >>> from_error(errors.MissingResponse("GR.FUR..HHZ", "has no response")).status
    <HTTPStatus.UNPROCESSABLE_ENTITY: 422>
    """
    kind = next(kind for kind in type(error).__mro__ if kind in STATUSES)
    headers = {"Retry-After": "5"} if STATUSES[kind] is HTTPStatus.SERVICE_UNAVAILABLE else None
    return Problem(STATUSES[kind], str(error), _TYPES.get(kind, "about:blank"), headers)


def respond(request: Request, problem: Problem) -> Response:
    """Write a problem as a response."""
    body: dict[str, Any] = {
        "type": problem.type,
        "title": problem.status.phrase,
        "status": problem.status.value,
        "detail": problem.detail,
        "instance": request.url.path,
    }
    if call := request.scope.get("call_id"):
        body["call"] = call
    return Response(
        json.dumps(body, ensure_ascii=False), problem.status, headers=problem.headers, media_type=MEDIA_TYPE
    )
