"""Command lines with places for settings and files: each item is one argument, and never a shell's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from string import Formatter
from typing import Any

from workbench.errors import InvalidSetting

__all__ = ["Item", "fill", "names", "text"]

Item = str | tuple[str, ...]
"""A template of an argument, or several that are left out together when one has nothing to say."""


def names(argv: Sequence[Item]) -> set[str]:
    """Return the names that the templates have places for.

    Raises
    ------
    ValueError
        If a template is more than text with ``{name}`` in it.

    Examples
    --------
    >>> sorted(names(("{tool}", ("--sta", "{sta}"), "{{literal}}")))
    ['sta', 'tool']
    """
    found: set[str] = set()
    for item in argv:
        for template in _each(item):
            for _, name, form, conversion in Formatter().parse(template):
                if name is None:
                    continue
                if not name.isidentifier() or form or conversion:
                    raise ValueError(f"'{template}' has more than a name in its braces")
                found.add(name)
    return found


def fill(argv: Sequence[Item], values: Mapping[str, str | None]) -> list[str]:
    """Return the arguments; an item with a place whose value is None is left out.

    Examples
    --------
    >>> fill(("find", ("--corner", "{corner}"), "{data}"), {"corner": None, "data": "a b"})
    ['find', 'a b']
    """
    return list(_filled(argv, values))


def _filled(argv: Sequence[Item], values: Mapping[str, str | None]) -> Iterator[str]:
    for item in argv:
        if all(values[name] is not None for name in names([item])):
            for template in _each(item):
                yield template.format_map(values)


def _each(item: Item) -> tuple[str, ...]:
    return (item,) if isinstance(item, str) else item


def text(name: str, value: Any) -> str | None:
    """Return a setting as an argument has it: shortest digits, true or false, a list with commas.

    Raises
    ------
    InvalidSetting
        If an argument cannot hold it.

    Examples
    --------
    >>> text("sta", 1.0), text("both", True), text("phases", ("P", "S")), text("corner", None)
    ('1.0', 'true', 'P,S', None)
    """
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(text(name, part) or "" for part in value)
    said = repr(value) if isinstance(value, float) else str(value)
    if "\0" in said:
        raise InvalidSetting(name, "has a zero byte, which no argument of a program can hold", "Take it out.")
    return said
