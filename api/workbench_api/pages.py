"""The pages that a person sees: templates, and the files beside them."""

from __future__ import annotations

import re
from http import HTTPStatus
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

from workbench_api.problems import Problem

__all__ = ["Pages"]

_STATIC = {"style.css": "text/css", "form.js": "text/javascript"}


def words(text: str) -> Markup:
    """Write the words of a docstring: what stands in backquotes is code.

    Examples
    --------
    >>> words("A ratio < `on`, or ``off``.")
    Markup('A ratio &lt; <code>on</code>, or <code>off</code>.')
    """
    return Markup(re.sub(r"(`+)(.+?)\1", r"<code>\2</code>", str(escape(text))))  # noqa: S704 - escaped just here


class Pages:
    """Templates of this package; what they are given is escaped.

    Parameters
    ----------
    hub : str
        Path of the hub, which each page links to; empty for none.
    """

    def __init__(self, hub: str = "") -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("workbench_api"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["words"] = words
        self._environment.globals["prefix_of_hub"] = hub

    def render(self, template: str, status: HTTPStatus = HTTPStatus.OK, **content: Any) -> Response:
        """Write a page."""
        return HTMLResponse(self._environment.get_template(template).render(**content), status)

    async def static(self, name: str) -> Response:
        """Return one of the files that pages refer to."""
        if name not in _STATIC:
            raise Problem(HTTPStatus.NOT_FOUND, "There is no such file.")
        content = files("workbench_api").joinpath("static", name).read_bytes()
        return Response(content, media_type=_STATIC[name], headers={"Cache-Control": "public, max-age=300"})
