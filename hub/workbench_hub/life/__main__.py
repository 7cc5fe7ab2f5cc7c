"""The process `life`: started by the supervisor, or by systemd."""

from __future__ import annotations

import asyncio
import logging.config
import signal
from datetime import timedelta

import click

from workbench.settings import Settings
from workbench_hub import logs
from workbench_hub.deployment import Deployment
from workbench_hub.life import wiring
from workbench_hub.life.jobs import load
from workbench_hub.life.service import Life
from workbench_hub.life.web import application

__all__ = ["main"]


async def _serve(d: Deployment, jobs: str, every: float) -> None:
    means = wiring.means(d, load(jobs) if jobs else None, timedelta(seconds=every))
    life = Life(means)
    pages = application(
        life,
        api_url=means.hub.url,
        token=d.tokens["usage"],
        metrics_token=d.tokens["metrics"],
        prefix=wiring.PREFIX,
    )
    server = pages.listen(d.ports["life"], "127.0.0.1", xheaders=True)
    going = asyncio.create_task(life.run())
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, ended.set)
    waiting = asyncio.create_task(ended.wait())
    await asyncio.wait({going, waiting}, return_when=asyncio.FIRST_COMPLETED)
    server.stop()
    going.cancel()
    await means.hub.close()
    means.meter.close()
    means.usage.close()
    if not ended.is_set():
        going.result()  # a fault of ours: said, and the supervisor starts us again


@click.command()
@click.option("--jobs", default="", metavar="MODULE:FUNCTION", help="Says which jobs a user has.")
@click.option(
    "--every", default=30.0, show_default=True, help="Seconds from one look at servers to the next."
)
def main(jobs: str, every: float) -> None:
    """Run until a signal says otherwise."""
    logging.config.dictConfig(logs.config({"workbench_hub": "INFO", "tornado": "WARNING", "": "WARNING"}))
    asyncio.run(_serve(Deployment(Settings()), jobs, every))


if __name__ == "__main__":
    main()
