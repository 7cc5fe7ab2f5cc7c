"""The process `broker`: started by the supervisor, or by systemd."""

from __future__ import annotations

import asyncio
import logging.config
import signal

from workbench.settings import Settings
from workbench_hub import logs
from workbench_hub.broker import web, wiring
from workbench_hub.deployment import Deployment

__all__ = ["main"]


async def _serve(d: Deployment) -> None:
    broker, callers = wiring.broker_of(d), wiring.callers_of(d)
    server = web.server(web.application(broker, callers), broker)
    server.listen(d.ports[wiring.NAME], d.ip)
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, ended.set)
    await ended.wait()
    server.stop()
    await callers.close()


def main() -> None:
    """Run until a signal says otherwise."""
    logging.config.dictConfig(logs.config({"workbench_hub": "INFO", "tornado": "ERROR", "": "WARNING"}))
    asyncio.run(_serve(Deployment(Settings())))


if __name__ == "__main__":
    main()
