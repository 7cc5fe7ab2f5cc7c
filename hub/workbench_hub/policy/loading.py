"""A policy from its file, or every reason why not."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from workbench.errors import InvalidSetting
from workbench_hub.policy.checks import check, nearest
from workbench_hub.policy.model import Policy
from workbench_hub.policy.reading import Location, Problem, Source, read

__all__ = ["InvalidPolicy", "load", "parse"]

_MOST_BYTES = 4 * 2**20
_STAND_INS = {"images": {"title": "none", "build": "none"}, "profiles": {"title": "none"}}


class InvalidPolicy(InvalidSetting):
    """A policy that nothing may start with; `problems` has every reason, in the order of the file."""

    def __init__(self, path: str, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = sorted(problems, key=lambda item: item.line)
        number = len(self.problems)
        super().__init__(
            path,
            f"{number} thing{'s' * (number != 1)} wrong with the policy",
            "Nothing was started or changed; mend the file and try again.",
        )

    def __str__(self) -> str:
        return "\n".join([f"{self.subject}: {self.problem}. {self.remedy}", *map(self._line, self.problems)])

    def _line(self, item: Problem) -> str:
        words = f"{item.subject} {item.problem}".strip()
        return f"{self.path}:{item.line}: {words}." + (f" {item.remedy}" if item.remedy else "")


def load(path: Path) -> Policy:
    """Read a policy.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InvalidPolicy
        With every error, each with its line and its remedy.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InvalidPolicy(
                str(path), [Problem((), "is larger than 4 MiB", "It should be a page or two.", 1)]
            )
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        remedy = "WORKBENCH_POLICY names the file to read."
        raise InvalidPolicy(
            str(path), [Problem((), f"cannot be read: {error.strerror}", remedy, 1)]
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InvalidPolicy(
            str(path), [Problem((), "is not UTF-8 text", "Save it as UTF-8.", line)]
        ) from error
    return parse(text, str(path))


def parse(text: str, path: str = "policy.yaml") -> Policy:
    """Read a policy from its text.

    Parameters
    ----------
    text : str
    path : str, optional
        What errors call it.
    """
    source = read(text)
    problems = list(source.problems)
    if source.data is None:
        raise InvalidPolicy(path, problems)
    if not isinstance(source.data, dict):
        remedy = "Begin with `version: 1`; the file that comes with the hub is an example."
        raise InvalidPolicy(path, [Problem((), "is not a list of names with values", remedy, 1)])
    policy, wrong = _validate(source.data)
    problems += wrong
    if policy is not None:
        problems += check(policy, source.data)
    if problems or policy is None:
        raise InvalidPolicy(path, [_with_line(item, source) for item in problems])
    return policy


def _validate(data: dict[str, Any]) -> tuple[Policy | None, list[Problem]]:
    """Validate; after errors once more without the values that are wrong, to look at the rest."""
    try:
        return Policy.model_validate(data), []
    except ValidationError as error:
        problems = [_problem(item, data) for item in error.errors(include_url=False)]
    rest: dict[str, Any] = deepcopy(data)
    for deep in (99, 99, 2, 1, 1):
        rest["version"] = 1
        for section, stand_in in _STAND_INS.items():
            rest[section] = rest.get(section) or {"none": stand_in}
        try:
            return Policy.model_validate(rest), problems
        except ValidationError as error:
            for item in reversed(error.errors(include_url=False)):
                _drop(rest, item["loc"][:deep])
    return None, problems


def _drop(data: Any, location: Location) -> None:
    """Take a value out, or the nearest thing that holds it."""
    holder, last = None, None
    for part in location:
        try:
            inside = data[part]
        except (KeyError, IndexError, TypeError):
            continue
        holder, last, data = data, part, inside
    if isinstance(holder, dict | list) and last is not None:
        del holder[last]  # type: ignore[arg-type]


def _problem(item: ErrorDetails, data: Any) -> Problem:
    location = tuple(part for part in item["loc"] if part != "[key]")
    kind, context = item["type"], item.get("ctx", {})
    value = "" if isinstance(item["input"], dict | list) else f" {item['input']!r:.80}"
    if kind == "extra_forbidden":
        return Problem(location, "is not known here", nearest(str(location[-1]), _fields(location[:-1])))
    if kind == "missing":
        return Problem(location, "is missing", f"Write `{location[-1]}: ...` here.")
    if kind == "literal_error":
        return Problem(location, f"may not be{value}", f"Write {context['expected']}.")
    if kind == "value_error":
        return Problem(location, f"{value.strip()} {context['error']}".strip())
    if kind == "string_pattern_mismatch":
        return Problem(location, f"has characters that it may not have:{value}", _pattern(item, context))
    message = item["msg"][0].lower() + item["msg"][1:]
    return Problem(location, f"is wrong:{value}".rstrip(":"), f"What it needs: {message}.")


def _pattern(item: ErrorDetails, context: dict[str, Any]) -> str:
    words = {
        "[a-z]": "Use small letters, digits and _ . -, beginning with a letter.",
        "sha256": "Write sha256: and 64 hexadecimal digits, as `docker images --digests` shows them.",
        "(\\*": "Write a network code of one or two letters or digits, such as CH, or XK_2018, or '*'.",
    }
    pattern = context["pattern"].removeprefix("^")
    return next(
        (text for begin, text in words.items() if pattern.startswith(begin)), f"It has to match {pattern}."
    )


def _fields(location: Location) -> list[str]:
    """Return the names that may stand at a place."""
    model: Any = Policy
    for part in location:
        if not (isinstance(model, type) and issubclass(model, BaseModel)) or part not in model.model_fields:
            continue
        model = model.model_fields[str(part)].annotation
        while arguments := [item for item in getattr(model, "__args__", ()) if _is_model(item)]:
            model = arguments[0]
    return list(model.model_fields) if _is_model(model) else []


def _is_model(item: Any) -> bool:
    return isinstance(item, type) and issubclass(item, BaseModel)


def _with_line(item: Problem, source: Source) -> Problem:
    return Problem(item.location, item.problem, item.remedy, item.line or source.line(item.location))
