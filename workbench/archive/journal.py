"""A journal of what is finished, so that whatever is killed can go on."""

from __future__ import annotations

import json
import os
from pathlib import Path

from workbench.archive.files import make_folder, trouble

__all__ = ["Journal"]


class Journal:
    """A list of what is finished, a line each, on disk before it is believed."""

    def __init__(self, path: Path, head: dict[str, str]) -> None:
        self.path = path
        self.head = head
        self.finished: set[str] = set()
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        except OSError as error:
            raise trouble(path, error) from error
        for line in lines:
            try:
                self.finished.add(str(json.loads(line)["finished"]))
            except (ValueError, KeyError, TypeError):
                continue  # the first line, or one that was being written when the machine stopped

    def clear(self) -> None:
        """Forget everything."""
        self.path.unlink(missing_ok=True)
        self.finished.clear()

    def finish(self, key: str, more: dict[str, int]) -> None:
        """Note that something is finished."""
        make_folder(self.path.parent)
        try:
            with self.path.open("ab") as file:
                # A line that broke off before is ended first.
                lines = [] if file.tell() else [self.head]
                text = "\n" + "\n".join(json.dumps(line) for line in [*lines, {"finished": key, **more}])
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise trouble(self.path, error) from error
        self.finished.add(key)
