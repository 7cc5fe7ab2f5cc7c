"""Which file goes where: data of a command line, in any order, to the inputs of a kernel."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.calls.files import expand, is_store
from workbench.calls.inputs import fits
from workbench.calls.reader import Reader, is_text
from workbench.calls.selections import looks_like
from workbench.errors import BadInput, InvalidSetting, UnreadableFile
from workbench.kernel import DataInput, Kernel
from workbench.notices import notice, progress

__all__ = ["assign"]


@dataclass(frozen=True, slots=True)
class _Given:
    text: str
    path: Path | None
    """None for a selection."""
    named: bool
    """Whether the user named this very file, and not a folder around it."""
    input: str
    """The input that the user said it is for, or nothing."""


def assign(kernel: Kernel, arguments: Iterable[str], reader: Reader) -> dict[str, Any]:
    """Turn the DATA of a command line into the inputs of a Call.

    Parameters
    ----------
    kernel : Kernel
    arguments : iterable of str
        Files, folders, patterns, selections, each of them also as ``input=...``.
    reader : Reader
        Looks at the files, and keeps what it read.

    Raises
    ------
    InvalidSetting
        If a path is not there, or it is not clear where something belongs.
    BadInput
        If a file fits no input.
    """
    found: dict[str, list[dict[str, str]]] = {}
    skipped: list[UnreadableFile] = []
    given = [item for argument in arguments for item in _given(kernel, argument)]
    for number, item in enumerate(given):
        progress(0.0, f"reading {number + 1} of {len(given)} files")
        if item.path is None:
            for name in _of_selection(kernel, item):
                found.setdefault(name, []).append({"selection": item.text})
            continue
        try:
            nouns = reader.look(item.path)
        except UnreadableFile as error:
            # A text that the user named is a mistake of the user's; a broken
            # file among good ones is not to spoil those.
            if item.named and is_text(item.path):
                raise
            skipped.append(error)
            remedy = error.remedy if item.named else ""
            notice(error.subject, f"{error.problem}; it is left out", remedy, loss=item.named)
            continue
        names = _of_nouns(kernel, item, nouns)
        for name in names:
            found.setdefault(name, []).append({"path": str(item.path)})
    _add_stations(kernel, found)
    _complain(kernel, found, skipped)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def takes(kernel: Kernel) -> str:
    """Say what a kernel takes."""
    return ", ".join(
        f"{item.name} ({' or '.join(item.nouns)}{'' if item.required else ', optional'})"
        for item in kernel.inputs
    )


def _given(kernel: Kernel, argument: str) -> Iterator[_Given]:
    name, equals, rest = argument.partition("=")
    known = {item.name for item in kernel.inputs}
    to = name if equals and name in known and not Path(argument).exists() else ""
    text = rest if to else argument
    path = Path(text).expanduser()
    if path.exists():
        whole = not path.is_dir() or is_store(path)
        for file in expand(path):
            yield _Given(str(file), file, whole, to)
    elif glob.has_magic(text) and (matches := _matches(str(path))):
        for match in matches:
            for file in expand(Path(match)):
                yield _Given(str(file), file, file == Path(match), to)
    elif looks_like(text):
        yield _Given(text, None, True, to)
    else:
        raise InvalidSetting(
            text,
            "there is no such file or folder",
            "Data are files, folders, patterns, or selections as NET.STA.LOC.CHA@start/end.",
        )


def _matches(pattern: str) -> list[str]:
    # A pattern may be absolute, which Path.glob does not take.
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207


def _of_selection(kernel: Kernel, item: _Given) -> list[str]:
    if item.input:
        return [item.input]
    names = [declared.name for declared in kernel.inputs if "Waveforms" in declared.nouns]
    if not names:
        names = [declared.name for declared in kernel.inputs if "Stations" in declared.nouns]
    if not names:
        raise BadInput(
            item.text, f"is a selection, which {kernel.id} cannot use", f"It takes {takes(kernel)}."
        )
    return [_only(kernel, item, names)]


def _of_nouns(kernel: Kernel, item: _Given, nouns: set[str]) -> list[str]:
    if item.input:
        return [item.input]
    names = []
    for noun in sorted(nouns):
        fitting = [declared for declared in kernel.inputs if fits(noun, declared)]
        # Events go where events are asked for; only otherwise are they flattened into picks.
        exact = [declared.name for declared in fitting if noun in declared.nouns]
        homes = exact or [declared.name for declared in fitting]
        if homes:
            names.append(_only(kernel, item, homes))
    if names:
        return list(dict.fromkeys(names))
    what = " and ".join(sorted(nouns))
    if item.named:
        hint = " A velocity model is a setting: --velocity-model FILE." if nouns == {"VelocityModel"} else ""
        raise BadInput(
            item.text, f"holds {what}, which {kernel.id} does not take", f"It takes {takes(kernel)}.{hint}"
        )
    notice(item.text, f"holds {what} and is left out", loss=False)
    return []


def _only(kernel: Kernel, item: _Given, names: list[str]) -> str:
    if len(names) > 1:
        raise InvalidSetting(
            item.text,
            f"fits several inputs of {kernel.id}: {', '.join(names)}",
            f"Say which: {names[0]}={item.text}",
        )
    return names[0]


def _add_stations(kernel: Kernel, found: dict[str, list[dict[str, str]]]) -> None:
    """Stations come from the archive that the waveforms come from, unless they are given."""
    for declared in kernel.inputs:
        if "Stations" not in declared.nouns or declared.name in found:
            continue
        selections = [value for values in found.values() for value in values if "selection" in value]
        if selections:
            found[declared.name] = selections


def _complain(kernel: Kernel, found: dict[str, list[dict[str, str]]], skipped: list[UnreadableFile]) -> None:
    absent = [item for item in kernel.inputs if item.required and item.name not in found]
    if not absent:
        return
    if skipped:
        raise skipped[0]
    raise InvalidSetting(kernel.id, f"input {_named(absent[0])} is missing", f"It takes {takes(kernel)}.")


def _named(item: DataInput) -> str:
    return f"'{item.name}' ({' or '.join(item.nouns)})"
