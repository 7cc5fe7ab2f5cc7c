"""YAML read with the line of each value.

Plain values are those of YAML 1.2's core schema, so that the network ``NO`` is
not false and ``010`` not eight; keys are text, whatever they look like.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import yaml

__all__ = ["Location", "Problem", "Source", "read"]

Location = tuple[str | int, ...]

_DEEPEST = 20
_MOST_VALUES = 100_000


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with the policy: where, what, and what to do."""

    location: Location
    problem: str
    remedy: str = ""
    line: int = 0

    @property
    def subject(self) -> str:
        """The name of the value: ``profiles.small.memory``."""
        return ".".join(map(str, self.location))


@dataclass
class Source:
    """What a file says: plain data, the line of each value, and what could not be read."""

    data: Any = None
    lines: dict[Location, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, location: Location) -> int:
        """Return the line of a value; of what holds it, if it is not there itself."""
        known: Location = ()
        for part in location:
            # pydantic adds words of its own to the path, such as `[key]`.
            known = (*known, part) if (*known, part) in self.lines else known
        return self.lines.get(known, 1)


class _Core(yaml.SafeLoader):
    """PyYAML's reader with the plain values of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as PyYAML has it


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", [*"-+0123456789"]),
    ("float", r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?", [*"-+0123456789"]),
):
    _Core.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def read(text: str) -> Source:
    """Read a document.

    Parameters
    ----------
    text : str

    Returns
    -------
    Source
        Its `data` is None if the text is no YAML at all; `problems` then says why.
    """
    source = Source()
    try:
        loader = _Core(text)
        try:
            node = loader.get_single_node()
            source.data = _Reading(loader, source).value(node, (), ()) if node else {}
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = " ".join(filter(None, (error.context, error.problem)))
        remedy = "Indent with spaces, and quote text that has ': ' or '#' in it."
        source.problems.append(Problem((), f"is not YAML: {words}", remedy, mark.line + 1 if mark else 1))
    except yaml.YAMLError as error:
        source.problems.append(
            Problem((), f"is not YAML: {error}".replace("\n", " "), "Write it as UTF-8 text.", 1)
        )
    return source


class _Reading:
    def __init__(self, loader: _Core, source: Source) -> None:
        self._loader = loader
        self._source = source
        self._left = _MOST_VALUES

    def value(self, node: yaml.Node, location: Location, above: tuple[yaml.Node, ...]) -> Any:
        self._source.lines.setdefault(location, node.start_mark.line + 1)
        self._left -= 1
        if node in above or len(above) > _DEEPEST or self._left < 0:
            # Aliases can hold themselves, or grow without bound.
            raise yaml.MarkedYAMLError(
                problem="values inside values without end", problem_mark=node.start_mark
            )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location, (*above, node))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*location, i), (*above, node)) for i, item in enumerate(node.value)]
        try:
            return self._loader.construct_object(node)
        except ValueError as error:
            raise yaml.MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from error

    def _mapping(
        self, node: yaml.MappingNode, location: Location, above: tuple[yaml.Node, ...]
    ) -> dict[Hashable, Any]:
        found: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key that is no text", problem_mark=key_node.start_mark)
            key, line = str(key_node.value), key_node.start_mark.line + 1
            inside = (*location, key)
            if key in found:
                first = self._source.lines[inside]
                problem = f"is there twice, first in line {first}"
                self._source.problems.append(Problem(inside, problem, "Keep one of them.", line))
                continue
            self._source.lines[inside] = line
            found[key] = self.value(value_node, inside, above)
        return found
