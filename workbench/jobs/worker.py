"""The inside of a job of a Dask cluster: ``python -m workbench.jobs.worker ... --session FOLDER``.

It is Dask's own worker, once it is sure that it has the libraries of those who
send it work.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from workbench.jobs import ending, libraries

__all__ = ["main"]

_OPTION = "--session"


def main(arguments: list[str]) -> int:
    """Compare libraries, then work until the scheduler has no more use for it; return an exit code."""
    place = arguments.index(_OPTION)
    folder = Path(arguments[place + 1])
    arguments = arguments[:place] + arguments[place + 2 :]
    here, there = json.loads((folder / "session.json").read_text())["versions"], libraries.found()
    if differ := libraries.differences(here, there):
        _refuse(folder, there)
        print("; ".join(differ), file=sys.stderr)  # noqa: T201 - into the job's log
        return 2
    import dask
    from distributed.cli import dask_worker

    keys = [f"--tls-{name}={folder / file}" for name, file in _KEYS.items()]
    # Nothing is served but to those who have the key.
    quiet = ["--no-nanny", "--no-dashboard", "--dashboard-address=127.0.0.1:0", "--protocol=tls"]
    quiet += ["--preload", ending.__name__]
    with dask.config.set({"distributed.worker.http.routes": [], "distributed.comm.require-encryption": True}):
        dask_worker.main([*arguments, *keys, *quiet], standalone_mode=False)
    return 0


_KEYS = {"ca-file": "ca.pem", "cert": "cert.pem", "key": "key.pem"}


def _refuse(folder: Path, there: dict[str, str]) -> None:
    path = folder / "refused" / f"{os.environ.get('SLURM_JOB_ID', '0')}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(there))
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
