"""The application: the routes, who may use them, and what is said when something is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

import httpx
import prometheus_client
import structlog
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from workbench import kernel
from workbench.errors import WorkbenchError
from workbench.settings import Settings
from workbench_api import negotiation, openapi, processes
from workbench_api.access import Access
from workbench_api.identity import Alone, Hub, Identity
from workbench_api.login import Login
from workbench_api.pages import Pages
from workbench_api.problems import ClientGone, Problem, from_error, respond
from workbench_api.processes import LoginNeeded, Service
from workbench_api.runners import Executor, executor

__all__ = ["Behind", "create"]

_HUB_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Behind:
    """The hub that the services stand behind.

    Parameters
    ----------
    api_url : str
        Its API, as this process reaches it.
    token : str
        The services' own token.
    """

    api_url: str
    token: str


def create(
    settings: Settings, *, prefix: str = "/", hub: Behind | None = None, runner: Executor | None = None
) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    settings : Settings
    prefix : str
        Path of the landing page.
    hub : Behind, optional
        Without it there is no log-in.
    runner : Executor, optional
        Where Calls run; by default as the settings say.
    """
    prefix = f"/{prefix.strip('/')}/" if prefix.strip("/") else "/"
    client = httpx.AsyncClient(timeout=_HUB_SECONDS, trust_env=False)
    identity: Identity = Alone(settings.token.get_secret_value())
    login = None
    if hub is not None:
        identity = Hub(hub.api_url, client)
        login = Login(identity, client, hub.api_url, hub.token, prefix)
    hosts = [host.strip() for host in settings.href_hosts.split(",") if host.strip()]
    links = [f"https://{host}/" for host in hosts]
    pages = Pages(login.hub_path if login else "")
    service = Service(settings, prefix, identity, runner or executor(settings), login, links, pages)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        # Kernels take seconds to import; better now than in the first request.
        await asyncio.to_thread(kernel.kernels)
        yield
        await service.runner.close()
        await client.aclose()

    app = FastAPI(title="Seismic workbench", lifespan=life, openapi_url=None, docs_url=None, redoc_url=None)
    routes = processes.router(service)
    app.include_router(routes)
    if login is not None:
        app.include_router(login.router)
    _around(app, service)
    _documents(app, service, routes)
    _handlers(app, service)
    app.add_middleware(Access, metrics=service.metrics)
    if hub is None:
        # A page of another site, whose name is made to lead to 127.0.0.1, gets no answer.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    return app


def _around(app: FastAPI, service: Service) -> None:
    """Add what operators ask for, and the files of the pages."""
    prefix = service.prefix

    @app.get(f"{prefix}health", include_in_schema=False)
    async def health() -> Response:
        """Say that this process answers."""
        return JSONResponse({"status": "well"})

    @app.get(f"{prefix}ready", include_in_schema=False)
    async def ready() -> Response:
        """Say whether Calls can be run."""
        good = await service.runner.ready()
        status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse({"status": "ready" if good else "not ready"}, status)

    @app.get(f"{prefix}metrics", include_in_schema=False, dependencies=[Depends(service.identify)])
    async def metrics() -> Response:
        """Give numbers to the monitoring."""
        return PlainTextResponse(
            prometheus_client.generate_latest(service.metrics.registry),
            media_type="text/plain; version=0.0.4; charset=utf-8",
        )

    app.add_api_route(f"{prefix}static/{{name}}", service.pages.static, include_in_schema=False)


def _documents(app: FastAPI, service: Service, described: APIRouter) -> None:
    """Add the OpenAPI documents, and a page to read them."""
    prefix = service.prefix

    @app.get(f"{prefix}api", include_in_schema=False, dependencies=[Depends(service.identify)])
    async def api(request: Request) -> Response:
        """Describe this API: OpenAPI 3.0, or 3.1 where that is asked for."""
        whole = openapi.document(described, prefix, service.url(request))
        if "version=3.1" in request.headers.get("Accept", ""):
            return JSONResponse(whole, media_type=openapi.MEDIA_TYPE_31)
        return JSONResponse(openapi.as_30(whole), media_type=openapi.MEDIA_TYPE_30)

    @app.get(f"{prefix}api.html", include_in_schema=False, dependencies=[Depends(service.identify)])
    async def api_page(request: Request) -> Response:
        """Describe this API to a person."""
        whole = openapi.document(described, prefix, service.url(request))
        return service.pages.render("api.html", base=prefix, document=whole)


def _handlers(app: FastAPI, service: Service) -> None:
    """Say each error in the one form, and to a browser as a page."""
    log = structlog.get_logger("workbench.api")

    def say(request: Request, problem: Problem) -> Response:
        if request.method == "GET" and negotiation.prefers_html(request):
            page = service.pages.render(
                "problem.html",
                problem.status,
                base=service.prefix,
                problem=problem,
                call=request.scope.get("call_id"),
            )
            page.headers.update(problem.headers or {})
            return page
        return respond(request, problem)

    @app.exception_handler(LoginNeeded)
    async def login_needed(request: Request, _: LoginNeeded) -> Response:
        return service.login.begin(request) if service.login else RedirectResponse(service.prefix)

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return say(request, error)

    @app.exception_handler(ClientGone)
    async def gone(_: Request, __: ClientGone) -> Response:
        # Nobody reads this; the status is for the log.
        return Response(status_code=499)

    @app.exception_handler(WorkbenchError)
    async def workbench_error(request: Request, error: WorkbenchError) -> Response:
        return say(request, from_error(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        said = "; ".join(f"{item['loc'][-1]}: {item['msg']}" for item in error.errors())
        return say(request, Problem(HTTPStatus.BAD_REQUEST, said))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return say(
            request,
            Problem(HTTPStatus(error.status_code), str(error.detail), headers=dict(error.headers or {})),
        )

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        log.exception("unexpected", call=request.scope.get("call_id"), exc_info=error)
        return respond(
            request, Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "An error of ours; the log has its details.")
        )
