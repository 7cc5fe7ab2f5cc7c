"""What a user's server has beside the Lab: notices, and pages about the user's Dask clusters.

Notices in a user's Lab are an extension of their server that keeps them, and one of the Lab that shows them.

This part runs inside of the user's server, so it imports nothing of the hub.
The hub's service `life` puts the notices that stand; the Lab asks for them
every half minute, which counts as no activity.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError, authenticated

from workbench_hub.life.lab import pages

__all__ = ["EXTENSION", "arguments"]

EXTENSION = __name__
"""Name of the server's extension."""

_FOLDER = Path(__file__).parent
_MOST = 50
_MOST_BYTES = 2**16


def arguments(folder: Path | None = None) -> list[str]:
    """Return the arguments by which a user's server takes both extensions.

    Parameters
    ----------
    folder : Path, optional
        Where this package is on the machine of the server, if not here.
    """
    return [
        f"--ServerApp.jpserver_extensions={EXTENSION}=True",
        f"--LabApp.extra_labextensions_path={(folder or _FOLDER) / 'extensions'}",
    ]


class _Notices(APIHandler):
    """The notices that stand now."""

    _track_activity = False

    @authenticated
    def get(self) -> None:
        """Return them."""
        self.finish(json.dumps(self.settings["workbench_notices"]))

    @authenticated
    def put(self) -> None:
        """Replace them."""
        try:
            known: Any = json.loads(self.request.body) if len(self.request.body) <= _MOST_BYTES else None
            kept = [{key: str(one[key]) for key in ("id", "level", "text")} for one in known[:_MOST]]
        except (ValueError, TypeError, KeyError) as error:
            raise HTTPError(400, "a list of notices is expected, each with id, level and text") from error
        self.settings["workbench_notices"] = kept
        self.set_status(204)
        self.finish()


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": EXTENSION}]


def _load_jupyter_server_extension(app: Any) -> None:
    app.web_app.settings["workbench_notices"] = []
    base = app.web_app.settings["base_url"].rstrip("/")
    app.web_app.add_handlers(".*$", [(f"{base}/workbench/notices", _Notices), *pages.handlers(base)])
