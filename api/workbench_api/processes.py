"""The resources of OGC API - Processes, Part 1: Core."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from workbench import __version__, kernel
from workbench.calls import describe
from workbench.jobs.work import Request as Work
from workbench.settings import Settings
from workbench_api import execution, negotiation, results, runners
from workbench_api.access import Metrics
from workbench_api.identity import Identity
from workbench_api.login import Login, check_origin
from workbench_api.openapi import BODY, MEDIA_TYPE_30, answers
from workbench_api.pages import Pages
from workbench_api.problems import Problem
from workbench_api.runners import Executor, Places

__all__ = ["CONFORMANCE", "Service", "router"]

_SPEC = "http://www.opengis.net/spec/ogcapi-"
CONFORMANCE = (
    f"{_SPEC}common-1/1.0/conf/core",
    f"{_SPEC}processes-1/1.0/conf/core",
    f"{_SPEC}processes-1/1.0/conf/ogc-process-description",
    f"{_SPEC}processes-1/1.0/conf/json",
    f"{_SPEC}processes-1/1.0/conf/html",
    f"{_SPEC}processes-1/1.0/conf/oas30",
)
"""Classes of the standard that these services keep."""

_MODES = {"jobControlOptions": ["sync-execute"], "outputTransmission": ["value"]}
_REL = "http://www.opengis.net/def/rel/ogc/1.0/"


@dataclass(frozen=True)
class Service:
    """What the routes need.

    Attributes
    ----------
    settings : Settings
    prefix : str
        Path of the landing page, with a slash at both ends.
    identity : Identity
    runner : Executor
    login : Login or None
        None where there is no hub.
    links : list of str
        What a link in a request may begin with.
    pages : Pages
    metrics : Metrics
    places : Places
    """

    settings: Settings
    prefix: str
    identity: Identity
    runner: Executor
    login: Login | None
    links: list[str]
    pages: Pages
    metrics: Metrics = field(default_factory=Metrics)
    places: Places = field(default_factory=Places)

    def url(self, request: Request, path: str = "") -> str:
        """Return the address of one of our resources, as the client reaches it."""
        return f"{request.url.scheme}://{request.url.netloc}{self.prefix}{path}"

    async def identify(self, request: Request) -> None:
        """Find out who asks, before a route does anything.

        Raises
        ------
        Problem
            If nobody may ask so.
        LoginNeeded
            If a browser can be sent to the log-in.
        """
        try:
            request.state.user = await self.identity.user(request)
        except Problem as problem:
            browser = request.method == "GET" and negotiation.prefers_html(request)
            if problem.status is HTTPStatus.UNAUTHORIZED and self.login and browser:
                raise LoginNeeded from problem
            raise


class LoginNeeded(Exception):
    """A browser that has to log in first."""


def router(service: Service) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(prefix=service.prefix.rstrip("/"), dependencies=[Depends(service.identify)])

    def page(request: Request, template: str, content: dict[str, Any], **more: Any) -> Response:
        """Answer with HTML or JSON, whichever is wanted, each with a link to the other."""
        if negotiation.prefers_html(request):
            return service.pages.render(template, base=service.prefix, content=content, **more)
        return JSONResponse(content)

    def links(request: Request, path: str) -> list[dict[str, str]]:
        here = service.url(request, path)
        mark = "&" if "?" in here else "?"
        html = negotiation.prefers_html(request)
        kinds = [("application/json", "json"), ("text/html", "html")]
        return [
            {
                "href": f"{here}{mark}f={short}",
                "rel": "self" if (short == "html") == html else "alternate",
                "type": media,
                "title": f"This document as {short.upper()}",
            }
            for media, short in kinds
        ]

    @routes.get("/", responses=answers(401, 403, 503))
    async def landing(request: Request) -> Response:
        """Say what is here."""
        content = {
            "title": "Seismic workbench",
            "description": "Methods of seismology as processes. Each is declared once, and gives the same "
            "answer here, in a notebook, on the command line and in a batch job.",
            "version": __version__,
            "links": [
                *links(request, ""),
                _link(service, request, "api", "service-desc", MEDIA_TYPE_30, "This API, as OpenAPI 3.0"),
                _link(service, request, "api.html", "service-doc", "text/html", "This API, to read"),
                _link(
                    service, request, "conformance", f"{_REL}conformance", "application/json", "What is kept"
                ),
                _link(service, request, "conformance", "conformance", "application/json", "What is kept"),
                _link(service, request, "processes", f"{_REL}processes", "application/json", "The processes"),
            ],
        }
        topics: dict[str, list[dict[str, Any]]] = {}
        for declared in kernel.kernels().values():
            topics.setdefault(declared.topic, []).append(describe.summary(declared))
        return page(
            request, "landing.html", content, topics=topics, user=request.state.user, login=service.login
        )

    @routes.get("/conformance", responses=answers(401, 403, 503))
    async def conformance(request: Request) -> Response:
        """List the classes of the standard that are kept."""
        return page(request, "conformance.html", {"conformsTo": list(CONFORMANCE)})

    @routes.get("/processes", responses=answers(400, 401, 403, 503))
    async def processes(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=10000)] = 10,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> Response:
        """List the processes, so many at a time."""
        every = list(kernel.kernels().values())
        shown = every[offset : offset + limit]
        more = links(request, f"processes?limit={limit}&offset={offset}")
        if offset + limit < len(every):
            path = f"processes?limit={limit}&offset={offset + limit}"
            more.append(_link(service, request, path, "next", "application/json", "Further processes"))
        summaries = [
            {**describe.summary(declared), **_MODES, "links": _process_links(service, request, declared.id)}
            for declared in shown
        ]
        return page(request, "processes.html", {"processes": summaries, "links": more})

    @routes.get("/processes/{process}", responses=answers(401, 403, 404, 503))
    async def process(request: Request, process: str) -> Response:
        """Describe a process."""
        declared = kernel.get(process)
        content = {
            **describe.describe(declared),
            **_MODES,
            "links": [
                *links(request, f"processes/{process}"),
                *_process_links(service, request, process)[1:],
            ],
        }
        return page(
            request,
            "process.html",
            content,
            outputs={output.name: output.noun for output in declared.outputs},
        )

    @routes.post(
        "/processes/{process}/execution",
        responses=answers(400, 401, 403, 404, 406, 413, 422, 500, 503),
        openapi_extra={"requestBody": BODY},
    )
    async def execute(request: Request, process: str) -> Response:
        """Execute a process, and answer with its outputs."""
        check_origin(request)
        kernel.get(process)
        content = await execution.body(request, service.settings.max_bytes)
        asked = await asyncio.to_thread(execution.parse, process, content, request)
        own = [service.url(request), *service.links]
        with service.metrics.running.track_inprogress(), service.metrics.seconds.labels(process).time():
            async with service.places:
                work = Work(
                    call=asked.call.to_json(), media=asked.media, user=request.state.user.name, links=own
                )
                answer = await runners.run(work, service.settings.sync_seconds, service.runner, request)
        return await asyncio.to_thread(results.respond, asked, answer)

    return routes


def _process_links(service: Service, request: Request, process: str) -> list[dict[str, str]]:
    here = f"processes/{process}"
    return [
        _link(service, request, here, "self", "application/json", "The process's description"),
        _link(service, request, f"{here}/execution", f"{_REL}execute", "application/json", "Execute it"),
    ]


def _link(service: Service, request: Request, path: str, rel: str, media: str, title: str) -> dict[str, str]:
    return {"href": service.url(request, path), "rel": rel, "type": media, "title": title}
