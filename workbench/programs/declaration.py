"""The declaration of a program: a typed function without a body, and the command line that stands for it."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from workbench import kernel as declarations
from workbench import wire
from workbench.cubes import to_stream
from workbench.errors import InvalidKernel, InvalidSetting
from workbench.kernel import Kernel
from workbench.programs import template
from workbench.programs.execution import Program
from workbench.programs.files import File, sha256_of
from workbench.programs.limits import Limits

__all__ = ["program"]

F = TypeVar("F", bound=Callable[..., Any])

_IMAGE = re.compile(r"sha256:[0-9a-f]{64}")
_SHA = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


def program(
    image: str | None,
    argv: Sequence[template.Item],
    reads: Mapping[str, str],
    writes: Mapping[str, str],
    *,
    files: Mapping[str, File] | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    **declared: Any,
) -> Callable[[F], F]:
    """Declare an external program as a kernel; the function below says what goes in and out.

    Parameters
    ----------
    image : str or None
        Digest of the released image that it runs in, ``sha256:...``.  None is
        the system that the Call runs in, of which the program sees /usr.
    argv : sequence of str, or of tuples of them
        The command line.  ``{name}`` stands for a setting, or for the file of
        an input, an output or one of `files`; each item is one argument, and
        no shell sees it.  An item with a place for something that was not
        given is left out; a tuple is left out as a whole.  The first item is
        an absolute path in the image, or the place of one of `files`.
    reads : mapping of str to str
        For each input the media type, or suffix, that it is written as.  A
        velocity model, which is a setting, is written as a file too.
    writes : mapping of str to str
        For each output (``result``, or the fields of the dataclass) the media
        type, or the name of the file in the work folder, where the program
        starts.
    files : mapping of str to File, optional
        Files that the program needs, or is: executables, jars, tables.
    limits : Limits
        What it may use.
    **declared
        ``per``, ``lead``, ``trail``, ``cut``, ... of `workbench.kernel.kernel`.

    Raises
    ------
    InvalidKernel
        If the command line and the function do not fit each other.
    """
    pinned = dict(files or {})

    def register(function: F) -> F:
        @functools.wraps(function)
        def run(*data: Any, **settings: Any) -> Any:
            return _call(kernel, made, function, data, settings)

        def code() -> str:
            return _code(image, tuple(argv), pinned, reads, writes)

        kernel = declarations.declare(run, **declared, code=code)
        made = _program(kernel, image, tuple(argv), reads, writes, pinned, limits)
        # Only what is whole is made known.
        declarations.kernel(**declared, code=code)(run)
        return typing.cast(F, run)

    return register


def _program(
    kernel: Kernel,
    image: str | None,
    argv: tuple[template.Item, ...],
    reads: Mapping[str, str],
    writes: Mapping[str, str],
    files: dict[str, File],
    limits: Limits,
) -> Program:
    def refuse(problem: str, remedy: str) -> InvalidKernel:
        return InvalidKernel(kernel.id, problem, remedy)

    if image is not None and not _IMAGE.fullmatch(image):
        raise refuse(f"the image '{image}' is no digest", "It is sha256: and 64 hexadecimal digits.")
    inputs = {item.name: item.nouns for item in kernel.inputs}
    outputs = {item.name: item.noun for item in kernel.outputs}
    settings = set(kernel.settings.model_fields)
    for name, file in files.items():
        if not _SHA.fullmatch(file.sha256) or not _NAME.fullmatch(file.name):
            raise refuse(f"the file '{name}' is {file}", "Give a plain name and the SHA-256 in hexadecimal.")
    known = [*inputs, *outputs, *settings, *files]
    if len(set(known)) != len(known):
        raise refuse("a name stands for two things", "Inputs, outputs, settings and files differ in name.")
    first = argv[0] if argv and isinstance(argv[0], str) else ""
    if not (first.startswith("/") and "{" not in first) and first not in {f"{{{name}}}" for name in files}:
        raise refuse(f"its program is '{first}'", "Give an absolute path, or the place of one of its files.")
    try:
        used = template.names(argv)
    except ValueError as error:
        raise refuse(f"its command line: {error}", "Write {name}; a brace itself is {{ or }}.") from error
    if used - set(known):
        raise refuse(f"its command line has a place for '{min(used - set(known))}'", f"Known: {known}.")
    if settings - used:
        raise refuse(f"its command line has no place for the setting '{min(settings - used)}'", "Add one.")
    if set(outputs) != set(writes) or set(reads) - set(inputs) - settings:
        raise refuse("reads and writes are not its inputs and outputs", f"{list(inputs)} to {list(outputs)}.")
    for name, nouns in inputs.items():
        for noun in nouns:
            _media(kernel.id, name, noun, reads.get(name, ""))
    named = {name: _file(kernel.id, name, noun, writes[name]) for name, noun in outputs.items()}
    taken = [file.name for file in files.values()] + [file for _, file in named.values()]
    if len(set(taken)) != len(taken):
        raise refuse(f"two of its files have one name: {sorted(taken)}", "Name them differently.")
    return Program(kernel.id, image, argv, dict(reads), named, files, limits)


def _media(kernel: str, name: str, noun: str, wanted: str) -> str:
    try:
        return wire.media_of(noun, wanted)
    except InvalidSetting as error:
        raise InvalidKernel(kernel, f"'{name}': {error.subject}: {error.problem}", error.remedy) from error


def _file(kernel: str, name: str, noun: str, wanted: str) -> tuple[str, str]:
    """Return the noun and the file name of an output; a media type has a slash in it."""
    if "/" in wanted or wanted.startswith("."):
        return noun, name + wire.codec(noun).MEDIA[_media(kernel, name, noun, wanted)]
    if not _NAME.fullmatch(wanted) or wanted == "in":
        raise InvalidKernel(kernel, f"'{name}' is written as '{wanted}'", "Give a media type or a file name.")
    return noun, wanted


def _call(
    kernel: Kernel, made: Program, function: Callable[..., Any], data: tuple[Any, ...], given: dict[str, Any]
) -> Any:
    """Check what was given as any surface does, so that 1 and 1.0 are one argument; run; name the results."""
    bound = inspect.signature(function).bind(*data, **given)
    inputs = {item.name: bound.arguments.get(item.name) for item in kernel.inputs}
    for item in kernel.inputs:
        value = inputs[item.name]
        if value is None:
            continue
        noun = wire.noun(value)
        if noun == "Dataset" and "Waveforms" in item.nouns and noun not in item.nouns:
            # A cube of channels by time goes where waveforms go.
            inputs[item.name] = to_stream(value, item.name)
        elif noun not in item.nouns:
            raise InvalidSetting(
                kernel.id, f"'{item.name}' is {noun}", f"It takes {' or '.join(item.nouns)}."
            )
    checked = kernel.validate({name: value for name, value in bound.arguments.items() if name not in inputs})
    settings = {name: getattr(checked, name) for name in type(checked).model_fields}
    results = made.run(inputs, settings)
    returned = typing.get_type_hints(function)["return"]
    if [item.name for item in kernel.outputs] == ["result"] and not hasattr(returned, "__dataclass_fields__"):
        return results["result"]
    return returned(**results)


def _code(
    image: str | None,
    argv: tuple[template.Item, ...],
    files: Mapping[str, File],
    reads: Mapping[str, str],
    writes: Mapping[str, str],
) -> str:
    """Name what would be run: another executable, file, image or command line is another run key."""
    first = str(argv[0])
    system = sha256_of(first) if image is None and first.startswith("/") else ""
    pinned = {name: [file.name, file.sha256] for name, file in files.items()}
    said = json.dumps([image, argv, system, pinned, dict(reads), dict(writes)], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]
