"""Which form a client wants: HTML or JSON for pages, any of an output's forms for results."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request

__all__ = ["accepted", "prefers_html", "quality"]


def accepted(request: Request) -> list[tuple[str, float]]:
    """Return the media types of ``Accept`` with their weights, the most wanted first.

    What cannot be read is left out; nothing readable means anything goes.
    """
    found = []
    for item in request.headers.get("Accept", "").split(","):
        media, *parameters = (part.strip().lower() for part in item.split(";"))
        if media.count("/") != 1:
            continue
        weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            found.append((media, min(max(float(weight), 0.0), 1.0)))
        except ValueError:
            continue
    return sorted(found, key=lambda pair: -pair[1]) or [("*/*", 1.0)]


def quality(media: str, wanted: Sequence[tuple[str, float]]) -> tuple[float, bool]:
    """Return how much a media type is wanted, and whether it was asked for by its full name.

    Examples
    --------
    >>> quality("text/csv", [("text/csv", 1.0), ("*/*", 0.1)])
    (1.0, True)
    >>> quality("image/png", [("text/csv", 1.0), ("*/*", 0.1)])
    (0.1, False)
    """
    main = media.partition("/")[0]
    for pattern in (media, f"{main}/*", "*/*"):
        for name, weight in wanted:
            if name == pattern:
                return weight, pattern == media
    return 0.0, False


def prefers_html(request: Request) -> bool:
    """Whether a person with a browser asks; ``?f=html`` and ``?f=json`` overrule the header."""
    form = request.query_params.get("f")
    if form in ("html", "json"):
        return form == "html"
    wanted = accepted(request)
    html, by_name = quality("text/html", wanted)
    return by_name and html >= quality("application/json", wanted)[0]
