"""Logs as JSON lines: time, level, where it comes from, what happened."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

__all__ = ["JsonFormatter", "config"]


class JsonFormatter(logging.Formatter):
    """One JSON object a line; a traceback stays within its line."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def config(loggers: dict[str, str]) -> dict[str, Any]:
    """Return a logging configuration that writes JSON lines to standard output.

    Parameters
    ----------
    loggers : dict
        Levels by name of logger; ``""`` is the root.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "workbench_hub.logs.JsonFormatter"}},
        "handlers": {
            "json": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}
        },
        "loggers": {
            name: {"level": level, "handlers": ["json"], "propagate": False}
            for name, level in loggers.items()
        },
    }
