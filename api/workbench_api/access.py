"""What is kept of each request: a line of log, and numbers for the monitoring."""

from __future__ import annotations

import secrets
import sys
from time import perf_counter
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Access", "Metrics", "configure_log"]

_QUIET = ("health", "ready", "metrics")

_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    # What one user got is for nobody else, and descriptions change with the code.
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"Accept, Authorization, Cookie"),
]


class Metrics:
    """Numbers about requests and kernels, in Prometheus' form."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "workbench_requests",
            "Requests, by route and status.",
            ["route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "workbench_execution_seconds",
            "Time that executions took, by process.",
            ["process"],
            buckets=(0.1, 0.3, 1, 3, 10, 30, 100, 300),
            registry=self.registry,
        )
        self.running = Gauge("workbench_executions", "Executions under way.", registry=self.registry)


class Access:
    """Give each request an id, log it, count it, and set the headers that guard the browser.

    Parameters
    ----------
    app : ASGI application
    metrics : Metrics
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._log = structlog.get_logger("workbench.access")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        call_id = scope["call_id"] = secrets.token_hex(8)
        begun, said = perf_counter(), {"status": 500, "bytes": 0}

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                said["status"] = message["status"]
                given = {name for name, _ in message["headers"]}
                extra = [item for item in _HEADERS if item[0] not in given]
                message["headers"] = [*message["headers"], *extra, (b"workbench-call", call_id.encode())]
            elif message["type"] == "http.response.body":
                said["bytes"] += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.requests.labels(route, str(said["status"])).inc()
            if route.rpartition("/")[2] not in _QUIET:
                self._log.info(
                    "request",
                    call=call_id,
                    user=getattr(scope.get("state", {}).get("user"), "name", ""),
                    method=scope["method"],
                    path=scope["path"],
                    seconds=round(perf_counter() - begun, 4),
                    **said,
                )


def configure_log() -> None:
    """Write JSON lines to standard output."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )


def log_config() -> dict[str, Any]:
    """Return what uvicorn logs of itself: warnings, as JSON lines; each request is logged above."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": "structlog.stdlib.ProcessorFormatter",
                "foreign_pre_chain": [
                    structlog.stdlib.add_log_level,
                    structlog.stdlib.add_logger_name,
                    structlog.processors.TimeStamper(fmt="iso", utc=True),
                ],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    structlog.processors.JSONRenderer(),
                ],
            }
        },
        "handlers": {
            "json": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}
        },
        "root": {"level": "WARNING", "handlers": ["json"]},
        "loggers": {"uvicorn.access": {"level": "CRITICAL"}},
    }
