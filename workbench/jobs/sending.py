"""How a submission gets to where it is worked off: to SLURM, or to a process beside this one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.jobs import background, launch, slurm
from workbench.jobs.records import now
from workbench.jobs.submissions import Run, Submission, compact
from workbench.settings import Settings

__all__ = ["send"]

_ARRAY = 1000
"""Jobs of an array: SLURM takes indices below 1001 where nobody says otherwise."""


def send(
    submission: Submission, indices: Sequence[int], settings: Settings, after: Sequence[int] = ()
) -> None:
    """Send some of the Calls of a submission.

    Parameters
    ----------
    submission : Submission
    indices : sequence of int
    settings : Settings
        What the jobs have of them.
    after : sequence of int
        Jobs that are to end first.

    Raises
    ------
    WorkbenchError
        If it is refused.
    """
    if submission.where == "local":
        submission.sent(Run(0, 0, tuple(indices), now()))
        background.start(submission, indices, launch.passed(settings))
        return
    if not submission.about["many"]:
        _submit(submission, indices, -1, settings, after)
        return
    for offset in sorted({index // _ARRAY * _ARRAY for index in indices}):
        part = [index for index in indices if offset <= index < offset + _ARRAY]
        _submit(submission, part, offset, settings, after)


def _submit(
    submission: Submission, indices: Sequence[int], offset: int, settings: Settings, after: Sequence[int]
) -> None:
    alone = offset < 0
    name = "%j" if alone else "%A_%a"
    directives = [
        *submission.limits.directives,
        f"--job-name={submission.queue_name}",
        # What SLURM itself has to say, and what keeps a job from beginning.
        f'--output="{submission.folder / "logs" / f"slurm-{name}.log"}"',
        "--requeue",
    ]
    directives += [] if alone else [f"--array={compact(index - offset for index in indices)}"]
    directives += [f"--dependency=afterany:{':'.join(map(str, after))}"] if after else []
    read = {path for index in indices for path in _paths(submission.call(index).inputs)}
    write = {submission.to(index).parent for index in indices}
    words = [
        *launch.python(settings, read, write),
        "-m",
        "workbench.jobs.attend",
        str(submission.folder),
        str(max(offset, 0)),
    ]
    variables = launch.environment(settings, submission.limits.cores)
    script = launch.script(directives, variables, words)
    (submission.folder / "script.sh").write_text(script)
    number = slurm.submit(script)
    submission.sent(Run(number, offset, tuple(indices), now()))


def _paths(inputs: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the files that a Call names."""
    for value in inputs.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and isinstance(item.get("path"), str):
                yield Path(item["path"])
