"""Equal runs compute once: who comes second gets what the first one found.

What a run computes is named by its run key.  Whoever works on a key holds a
claim on it; whoever has finished leaves a note of where the results are, with
the hash of each file, so that what was changed since is not passed on.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from workbench.calls.files import replacing_folder, write_bytes
from workbench.jobs.claims import Claim, Waiting, claim

__all__ = ["Once", "copy_results"]

_POLL_SECONDS = 0.5


class Once:
    """The notes of a user about finished runs.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def claimed(self, key: str, waiting: Callable[[], None]) -> Iterator[Path | None]:
        """Hold a key while the block runs; give the folder of the results, if an equal run has finished.

        Parameters
        ----------
        key : str
        waiting : callable
            Called before waiting for another who is at work on it.
        """
        held = self._hold(key, waiting)
        with held or nullcontext():
            yield self._finished(key)

    def _hold(self, key: str, waiting: Callable[[], None]) -> Claim | None:
        """Wait for a claim; None where there is no place for one."""
        seen, said = Waiting(), False
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            while (held := claim(self.folder / f"{key}.claim", seen)) is None:
                if not said:
                    waiting()
                    said = True
                time.sleep(_POLL_SECONDS)
        except OSError:
            return None  # a full disk costs a second computation, not the first
        return held

    def finish(self, key: str, results: Path) -> None:
        """Note where the results of a key are."""
        files = {str(path.relative_to(results)): _hash(path) for path in _files(results)}
        note = json.dumps({"folder": str(results.absolute()), "files": files})
        write_bytes(self.folder / f"{key}.json", note.encode())

    def _finished(self, key: str) -> Path | None:
        try:
            note = json.loads((self.folder / f"{key}.json").read_bytes())
            results = Path(note["folder"])
            whole = note["files"] == {str(path.relative_to(results)): _hash(path) for path in _files(results)}
        except (OSError, ValueError, KeyError):
            return None
        return results if whole and note["files"] else None


def copy_results(source: Path, target: Path) -> None:
    """Copy a folder of results, whole or not at all; its provenance says where it is from."""
    with replacing_folder(target) as part:
        shutil.copytree(source, part, dirs_exist_ok=True)
        record = part / "provenance.json"
        known = json.loads(record.read_bytes())
        known["reused_from"] = str(source)
        record.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
