"""From nouns to nouns by way of a program: files out, the program, files in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import wire
from workbench.errors import Unavailable, WorkbenchError
from workbench.notices import notice
from workbench.nouns import VelocityModel
from workbench.programs import template
from workbench.programs.files import File, put, take, work_folder
from workbench.programs.limits import Limits
from workbench.programs.sandbox import ENVIRONMENT, NOBODY, words
from workbench.programs.watch import Ended, last_lines, watch

__all__ = ["Program"]

_STARTERS = {
    1: ("bwrap: ", "setpriv: ", "prlimit: "),
    2: ("wb-exec: ",),
    126: ("prlimit: ",),
    127: ("prlimit: ", "/usr/bin/env: "),
}
"""How what stands before a program says that there was no program: by its exit code, how its words begin."""


@dataclass(frozen=True, slots=True)
class Program:
    """An external program, and how it is told what to do: see `workbench.programs.program`."""

    name: str
    image: str | None
    argv: tuple[template.Item, ...]
    reads: Mapping[str, str]
    writes: Mapping[str, tuple[str, str]]
    """For each output its noun and the name of its file."""
    files: Mapping[str, File]
    limits: Limits

    def run(self, data: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Run it in a sandbox.

        Parameters
        ----------
        data : mapping
            The nouns that are given, by the name of the input.
        settings : mapping
            All of them.

        Raises
        ------
        WorkbenchError
            If it fails, with the last lines of what it said.
        ResourceExceeded
            If it uses more than its limits.
        Unavailable
            If the program or what it is to be kept in is not there.
        """
        inputs, places = self._written(data, settings)
        with work_folder() as folder:
            for file in self.files.values():
                inputs[file.name] = file.bytes()
            put(folder, inputs, executable=frozenset(file.name for file in self.files.values()))
            if os.geteuid() == 0:
                os.chown(folder, NOBODY, NOBODY)
            command = [*words(self.image, folder, self.limits), *template.fill(self.argv, places)]
            ended = watch(self.name, command, ENVIRONMENT, folder, self.limits)
            self._judge(ended)
            return {output: self._read(folder, output, ended) for output in self.writes}

    def _written(
        self, data: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> tuple[dict[str, bytes], dict[str, str | None]]:
        """Return the files of the inputs, and what stands for each name in the arguments."""
        contents: dict[str, bytes] = {}
        places: dict[str, str | None] = {name: f"in/{file.name}" for name, file in self.files.items()}
        places |= {name: file for name, (_, file) in self.writes.items()}
        for name, value in {**data, **settings}.items():
            if value is None:
                places[name] = None
            elif name in data or isinstance(value, VelocityModel):
                noun = wire.noun(value)
                media = wire.media_of(noun, self.reads.get(name, ""))
                file = name + wire.codec(noun).MEDIA[media]
                contents[file] = wire.encode(value, media)
                places[name] = f"in/{file}"
            else:
                places[name] = template.text(name, value)
        return contents, places

    def _judge(self, ended: Ended) -> None:
        last = last_lines(ended.complained) or last_lines(ended.said)
        if ended.code in _STARTERS and last.startswith(_STARTERS[ended.code]):
            raise Unavailable(
                self.name,
                f"its program cannot be started: {last}",
                "Install it, or run it where user namespaces are allowed: docs/adding-a-program.md.",
            )
        if ended.code:
            how = f"signal {ended.code - 128}" if ended.code > 128 else f"exit code {ended.code}"
            raise WorkbenchError(
                self.name,
                f"its program ended with {how}" + (f"; it said: {last}" if last else " and said nothing"),
                "Check the data and the settings, or mend the program.",
            )
        for said in (ended.said, ended.complained):
            if said.strip():
                notice(self.name, f"its program said: {last_lines(said)}", loss=False)

    def _read(self, folder: Path, output: str, ended: Ended) -> Any:
        noun, file = self.writes[output]
        try:
            data = take(folder, file, self.limits.disk_bytes)
            return wire.read(data, noun, file, self.limits.disk_bytes)
        except WorkbenchError as error:
            last = last_lines(ended.complained) or last_lines(ended.said)
            raise WorkbenchError(
                self.name,
                f"its program left no {noun}: {error.subject}: {error.problem}"
                + (f"; it said: {last}" if last else ""),
                "Mend the program.",
            ) from error
