"""Serve: ``python -m workbench_api``, behind the hub or alone."""

from __future__ import annotations

import os

import click
import uvicorn

from workbench.settings import Settings
from workbench_api import app
from workbench_api.access import configure_log, log_config

__all__ = ["main"]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8001, show_default=True, help="Port to listen at.")
@click.option("--prefix", default="/", show_default=True, help="Path of the landing page.")
def main(host: str, port: int, prefix: str) -> None:
    """Serve every kernel as a web process (OGC API - Processes)."""
    settings = Settings()
    hub = None
    if "JUPYTERHUB_API_TOKEN" in os.environ and "JUPYTERHUB_USER" not in os.environ:
        hub = app.Behind(os.environ["JUPYTERHUB_API_URL"], os.environ["JUPYTERHUB_API_TOKEN"])
    if hub is None:
        token = settings.token.get_secret_value()
        if host not in ("127.0.0.1", "localhost", "::1") and not token:
            raise click.UsageError(
                "Without the hub there is no log-in: set WORKBENCH_TOKEN to listen beyond 127.0.0.1."
            )
        said = "asks for WORKBENCH_TOKEN" if token else "has no log-in: whoever can reach it may use it"
        click.echo(f"http://{host}:{port}{prefix}   This service {said}. Ctrl-C ends it.", err=True)
    configure_log()
    uvicorn.run(
        app.create(settings, prefix=prefix, hub=hub),
        host=host,
        port=port,
        log_config=log_config(),
        access_log=False,
        server_header=False,
        forwarded_allow_ips="127.0.0.1",
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
