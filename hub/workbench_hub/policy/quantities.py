"""Sizes, times and names as an administrator writes them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, ByteSize, Field, PlainSerializer, StringConstraints, WithJsonSchema

__all__ = ["Digest", "Duration", "Gid", "Host", "Label", "Name", "NetworkKey", "Ports", "Size", "Uid"]

_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(s|min|h|d)")
_SIZE = r"^[0-9]+(\.[0-9]+)? ?([KMGT](i?B)?|B)?$"


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("is not a time; write for example '30 min', '12 h' or '7 d'")
    return timedelta(seconds=float(found[1]) * _UNITS[found[2]])


def _size(value: Any) -> Any:
    if isinstance(value, bool) or (isinstance(value, str) and not re.match(_SIZE, value)):
        raise ValueError("is not a size; write for example '512 MiB' or '10 GiB'")
    return value


def _written(value: timedelta) -> str:
    return f"{value.total_seconds():g} s"


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(_written),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$", "examples": ["30 min", "12 h"]}),
]
"""A stretch of time: ``90 s``, ``30 min``, ``12 h``, ``7 d``."""

Size = Annotated[
    ByteSize,
    BeforeValidator(_size),
    Field(gt=0),
    WithJsonSchema(
        {"type": ["string", "integer"], "pattern": _SIZE, "examples": ["512 MiB", "10 GiB", 1073741824]}
    ),
]
"""A number of bytes: ``512 MiB``, ``10 GiB``, or a plain number."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^/\x00-\x1f\x7f]+$")]
"""The name of a user, as the hub knows it."""

Label = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[a-z][a-z0-9_.-]*$")]
"""The name of a group, a profile, an image, a folder: small letters, digits, ``_ . -``."""

NetworkKey = Annotated[str, StringConstraints(pattern=r"^(\*|[A-Za-z0-9]{1,2}(_[0-9]{4})?)$")]
"""A network code, with the first year for a code that is used again (``XK_2018``), or ``*``."""

Uid = Annotated[int, Field(ge=0, lt=2**31, strict=True)]
Gid = Annotated[int, Field(ge=0, lt=2**31, strict=True)]

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
"""The identity of an image."""

Host = Annotated[
    str, StringConstraints(max_length=253, pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(/[0-9]{1,2})?$")
]
"""The name or the address of a host, or a range of addresses (``192.0.2.0/24``)."""

Ports = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,5}:[0-9]{1,5}$")]
"""A range of ports, ``FIRST:LAST``."""
