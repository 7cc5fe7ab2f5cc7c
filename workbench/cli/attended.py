"""What works off the Call of a batch job, beside the one that looks after it: `workbench.jobs.attend`."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import click

from workbench.calls.results import check_free, user_name, write_results
from workbench.calls.runner import prepare
from workbench.cli import terminal
from workbench.cli.exits import report, said
from workbench.errors import WorkbenchError
from workbench.jobs.identity import here
from workbench.jobs.once import Once, copy_results
from workbench.jobs.process import end_with_parent
from workbench.jobs.records import now
from workbench.jobs.submissions import Submission
from workbench.notices import Notice

__all__ = ["main"]


class _Line:
    """Tells the one who looks after us how it goes."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    def say(self, **what: Any) -> None:
        self.stream.write(json.dumps(what) + "\n")
        self.stream.flush()

    def progress(self, fraction: float, doing: str) -> None:
        self.say(fraction=fraction, doing=doing)


def main(folder: Path, index: int, line: _Line) -> None:
    """Run the Call, or take the results of an equal one."""
    submission = Submission.load(folder)
    call, to = submission.call(index), submission.to(index)
    check_free(to)
    heard: list[Notice] = []
    click.echo(f"{now()} {call.process} on {here()}", err=True)
    log = [_entry(submission, "start", process=call.process)]
    try:
        prepared = prepare(call, on_notice=heard.append)
        line.say(run_key=prepared.run_key)
        with _once(submission, prepared.run_key, line) as (once, earlier):
            if earlier is not None:
                copy_results(earlier, to)
                line.say(reused=str(earlier))
                click.echo(f"{to}: taken from {earlier}, which an equal run had made", err=True)
                return
            result = prepared.compute(on_notice=heard.append, on_progress=line.progress)
            log += [
                _entry(submission, "notice", subject=item.subject, problem=item.problem, remedy=item.remedy)
                for item in result.notices
            ]
            log.append(_entry(submission, "done", run_key=result.run_key, duration_s=result.duration_s))
            said = ", ".join(terminal.summarise(value) for value in result.outputs.values())
            written = write_results(result, to, log)
            click.echo(f"{', '.join(map(str, written))}: {said} ({result.duration_s:g} s)", err=True)
            with suppress(OSError):
                once.finish(prepared.run_key, to)
    finally:
        terminal.say_notices(list(dict.fromkeys(heard)))


@contextmanager
def _once(submission: Submission, key: str, line: _Line) -> Iterator[tuple[Once, Path | None]]:
    once = Once(submission.folder.parents[1] / "finished")
    if not submission.about["reuse"]:
        yield once, None
        return
    with once.claimed(key, lambda: line.progress(0.0, "waits for an equal run")) as earlier:
        yield once, earlier


def _entry(submission: Submission, event: str, **facts: Any) -> dict[str, Any]:
    name = hashlib.sha256(submission.id.encode()).hexdigest()[:16]
    named = {"call": name, "user": user_name(), "job": submission.id}
    return {"time": now(), "event": event, **named, **facts}


class _Mouth(io.TextIOWrapper):
    """Standard error that costs no result where its log has no room for more."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            super().write(text)
            super().flush()
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def _work(words: list[str]) -> int:
    with os.fdopen(int(words[2]), "w") as stream:
        told = _Line(stream)
        try:
            main(Path(words[0]), int(words[1]), told)
        except BaseException as error:  # noqa: BLE001 - the outermost handler of this process
            code = report(error, debug=not isinstance(error, WorkbenchError | MemoryError | OSError))
            if isinstance(error, WorkbenchError):
                told.say(subject=error.subject, problem=error.problem, remedy=error.remedy)
            else:
                told.say(subject="The job", problem=said(error), remedy="")
            return code
    return 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.stderr = sys.stdout = _Mouth(sys.stderr.buffer, line_buffering=True)
    threading.Thread(target=end_with_parent, args=[os.getppid()], daemon=True).start()
    # What the log had no room for must not make a failure of it at the very end.
    os._exit(_work(sys.argv[1:]))
