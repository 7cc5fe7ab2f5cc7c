"""A function of somebody's script, turned into the beginning of a kernel.

Data are told from settings by their names and by what is read into them;
numbers, words and switches that stand in the function become settings with
those values as defaults.  What cannot be known (units, words) is guessed from
names, and said.
"""

from __future__ import annotations

import ast
import builtins
import copy
import re
import textwrap
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.errors import InvalidSetting, UnreadableFile

__all__ = ["Draft", "from_script"]

_READERS = {"read": "Waveforms", "read_inventory": "Stations", "read_events": "Events"}
_NOUN_NAMES = (
    ("Stations", r"inv|inventory|stations?|sta_?xml"),
    ("Events", r"cat|catalog(ue)?|events?|ev"),
    ("Picks", r"picks?"),
    ("Triggers", r"triggers?|trigs?"),
    ("Spans", r"spans?"),
    ("Waveforms", r"st|stream|tr|trace|waveforms?|data|wf"),
)
_INPUT_NAMES = {
    "Waveforms": "waveforms",
    "Stations": "stations",
    "Events": "events",
    "Picks": "picks",
    "Triggers": "triggers",
    "Spans": "spans",
}
_COPIES = {"Waveforms": "as_stream({}).copy()", "Picks": "{}"} | dict.fromkeys(
    ("Stations", "Events", "Triggers", "Spans"), "{}.copy()"
)
"""How each is taken so that it is the script's own; waveforms may come as a cube."""
_UNIT_NAMES = (
    ("Hertz", r".*freq.*|corner|f_?(min|max|low|high)|.*_hz"),
    ("Kilometres", r".*dist.*|.*radius.*|.*_km"),
    ("Degrees", r".*(lat|lon|latitude|longitude|azimuth|angle|strike|dip|rake).*"),
    ("Ratio", r"(.*_)?(on|off|thr|thres|threshold|ratio|snr|vp_?vs)(_.*)?"),
    ("Seconds", r"(sta|lta|dt|tau|pre|post|lead|hold|taper)|.*(window|length|duration|time|second).*|.*_s"),
    ("Magnitude", r"m|mag|magnitude"),
)

_PURE = 'Annotated[float, Unit("1")]'
"""The type of a number about which its name says nothing."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Code to begin with, and what it needs.

    Attributes
    ----------
    code : str
        The function, its decorator and its docstring.
    imports : dict of str to list of str
        Names to import, by module; no names is the module itself.
    returns : str
        The noun that it returns.
    remarks : list of str
        What was guessed.
    """

    code: str
    imports: dict[str, list[str]]
    returns: str
    remarks: list[str] = field(default_factory=list)


def from_script(path: Path, name: str) -> Draft:
    """Make a draft of the first function of a script.

    Raises
    ------
    UnreadableFile
        If it is no Python.
    InvalidSetting
        If it has no function, or none that takes or reads data.
    """
    try:
        text = path.read_text()
        tree = ast.parse(text)
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise UnreadableFile(str(path), f"is no Python script ({error})", "Give a .py file.") from error
    found = next((node for node in tree.body if isinstance(node, ast.FunctionDef)), None)
    if found is None:
        raise InvalidSetting(str(path), "has no function", "Put the method into one: def method(stream): ...")
    work = _Adoption(copy.deepcopy(found), tree, name)
    if not work.data:
        raise InvalidSetting(
            f"{path}, {found.name}", "takes no data", "Give it an argument: the stream, the inventory, ..."
        )
    if re.search(r"^\s+#", text, re.MULTILINE):
        work.remarks.append("comments are not brought along")
    return work.draft()


class _Adoption:
    """One function on its way to a kernel."""

    def __init__(self, function: ast.FunctionDef, script: ast.Module, name: str) -> None:
        self.function = function
        self.script = script
        self.name = name
        self.data: dict[str, str] = {}
        """Own name of each data argument in the script, with its noun."""
        self.settings: dict[str, Any] = {}
        self.remarks: list[str] = []
        self._arguments()
        self._reads()
        self._unused()
        self._literals()
        self._constants()

    def draft(self) -> Draft:
        returns = self._returns()
        types = {name: _type_of(name, value) for name, value in self.settings.items()}
        units = sorted({"Unit" if kind == _PURE else kind for kind in types.values() if kind[0].isupper()})
        inputs = {old: _INPUT_NAMES[noun] for old, noun in self.data.items()}
        shown = [f"{new}: {self.data[old]}" for old, new in inputs.items()]
        keys = [f"{key}: {types[key]} = {_literal(value)}" for key, value in self.settings.items()]
        head = ", ".join([*shown, *(["*", *keys] if keys else [])])
        copies = [f"    {old} = {_COPIES[self.data[old]].format(new)}\n" for old, new in inputs.items()]
        body = textwrap.indent("\n".join(ast.unparse(node) for node in self._body()), "    ")
        code = (
            f'@kernel(per="network", cut=False)\ndef {self.name}({head}) -> {returns}:\n'
            f"{self._docstring(inputs, types, returns)}"
            # What the script does to its data must not be done to the caller's.
            f"{''.join(copies)}{body}\n"
        )
        guesses = {key: kind for key, kind in types.items() if kind[0].isupper()}
        if guesses:
            guessed = ", ".join(f"{key} ({kind})" for key, kind in guesses.items())
            self.remarks.append(f"units were guessed from names: {guessed}")
        imports = {
            **self._imports(),
            "workbench.kernel": ["kernel"],
            "workbench.nouns": sorted({*self.data.values(), returns}),
        }
        if "Waveforms" in self.data.values():
            imports["workbench.kernels._segments"] = ["as_stream"]
        if units:
            imports["workbench.units"] = units
        if _PURE in types.values():
            imports["typing"] = ["Annotated"]
        return Draft(code, imports, returns, self.remarks)

    def _arguments(self) -> None:
        given = self.function.args
        plain = [*given.posonlyargs, *given.args]
        defaults: list[ast.expr | None] = [None] * (len(plain) - len(given.defaults))
        for argument, default in zip(
            [*plain, *given.kwonlyargs], [*defaults, *given.defaults, *given.kw_defaults], strict=True
        ):
            value = _value(default)
            if value is not None:
                self.settings[argument.arg] = value
            elif default is None or argument is plain[0]:
                self.data[argument.arg] = _noun(argument.arg) or "Waveforms"
            else:
                self.remarks.append(f"argument '{argument.arg}' has a default that is no literal; left out")

    def _reads(self) -> None:
        """``stream = read("file")`` makes stream an input."""
        kept = []
        for node in self.function.body:
            call = node.value if isinstance(node, ast.Assign) else None
            called = call.func if isinstance(call, ast.Call) else None
            reader = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if isinstance(node, ast.Assign) and reader in _READERS and isinstance(node.targets[0], ast.Name):
                self.data[node.targets[0].id] = _READERS[reader]
            else:
                kept.append(node)
        self.function.body = kept

    def _unused(self) -> None:
        """Drop data that the function does not look at."""
        used = {
            node.id for part in self.function.body for node in ast.walk(part) if isinstance(node, ast.Name)
        }
        self.data = {name: noun for name, noun in self.data.items() if name in used}

    def _literals(self) -> None:
        """Numbers that have a name become settings: ``x = 3`` once, ``f(x=3)``."""
        counts: dict[str, int] = {}
        for node in ast.walk(self.function):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                counts[node.id] = counts.get(node.id, 0) + 1
        kept = []
        for statement in self.function.body:
            target = statement.targets[0] if isinstance(statement, ast.Assign) else None
            value = _value(statement.value) if isinstance(statement, ast.Assign) else None
            if isinstance(target, ast.Name) and value is not None and counts[target.id] == 1:
                self.settings.setdefault(target.id, value)
            else:
                kept.append(statement)
        self.function.body = kept
        for node in ast.walk(self.function):
            for word in node.keywords if isinstance(node, ast.Call) else ():
                value = _value(word.value)
                taken = word.arg in self.settings and self.settings[word.arg] != value
                if word.arg is None or value is None or isinstance(value, str) or taken or word.arg in counts:
                    continue
                self.settings[word.arg] = value
                word.value = ast.Name(word.arg, ast.Load())

    def _constants(self) -> None:
        """Constants of the script that the function uses become settings."""
        used = {node.id for node in ast.walk(self.function) if isinstance(node, ast.Name)}
        for node in self.script.body:
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            value = _value(node.value) if isinstance(node, ast.Assign) else None
            if isinstance(target, ast.Name) and target.id in used and value is not None:
                small = target.id.lower()
                self.settings.setdefault(small, value)
                for place in ast.walk(self.function):
                    if isinstance(place, ast.Name) and place.id == target.id:
                        place.id = small

    def _body(self) -> list[ast.stmt]:
        body = self.function.body
        first = body[0] if body else None
        is_doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        return body[1:] if is_doc else body

    def _returns(self) -> str:
        hint = self.function.returns
        said = ast.unparse(hint).rpartition(".")[2] if hint is not None else ""
        known = {"Stream": "Waveforms", "Inventory": "Stations", "Catalog": "Events"}
        if said in known or said in _INPUT_NAMES:
            return known.get(said, said)
        ends = [node.value for node in ast.walk(self.function) if isinstance(node, ast.Return) and node.value]
        for end in ends:
            if isinstance(end, ast.Name) and end.id in self.data:
                return self.data[end.id]
            made = ast.unparse(end.func).rpartition(".")[2] if isinstance(end, ast.Call) else ""
            if made in known or made in _INPUT_NAMES:
                return known.get(made, made)
        self.remarks.append("what it returns was not to be seen: Waveforms is assumed; return a noun")
        return "Waveforms"

    def _imports(self) -> dict[str, list[str]]:
        used = {
            node.id
            for statement in self._body()
            for node in ast.walk(statement)
            if isinstance(node, ast.Name)
        }
        found: dict[str, list[str]] = {}
        for node in self.script.body:
            if isinstance(node, ast.Import):
                for item in node.names:
                    if (item.asname or item.name.partition(".")[0]) in used:
                        found[item.name] = []
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [
                    item.name + (f" as {item.asname}" if item.asname else "")
                    for item in node.names
                    if (item.asname or item.name) in used
                ]
                if names:
                    found[node.module] = names
        imported = {name.rpartition(" ")[2] for names in found.values() for name in names} | {
            module.partition(".")[0] for module, names in found.items() if not names
        }
        made = {
            node.id
            for node in ast.walk(self.function)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        known = {*imported, *made, *self.data, *self.settings, *dir(builtins), "np"}
        lost = sorted(used - known)
        if lost:
            self.remarks.append(
                f"names of the script that the function needs, to be brought along: {', '.join(lost)}"
            )
        return found

    def _docstring(self, inputs: dict[str, str], types: dict[str, str], returns: str) -> str:
        own = ast.get_docstring(self.function) or ""
        first = " ".join(own.partition("\n\n")[0].split())
        title = first or f"{self.name.replace('_', ' ').capitalize()}, as the script has it."
        rows = [f"{new} : {self.data[old]}\n    What it is worked on." for old, new in inputs.items()]
        for key, kind in types.items():
            shown = "float" if kind == _PURE else kind
            rows.append(f"{key} : {shown}\n    As in the script: {_literal(self.settings[key])}.")
        year = datetime.now(UTC).year
        text = (
            f'"""{title if title.endswith(".") else title + "."}\n\n'
            "Parameters\n----------\n" + "\n".join(rows) + "\n\n"
            f"Returns\n-------\n{returns}\n    What the script returns.\n\n"
            f"References\n----------\nUnpublished ({year}); the source of the method belongs here.\n\n"
            f'Examples\n--------\n>>> {self.name}.__name__\n\'{self.name}\'\n"""\n'
        )
        return textwrap.indent(text, "    ")


def _value(node: ast.expr | None) -> Any:
    """Return the value of a literal that can be a setting, or None."""
    if node is None:
        return None
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, bool | int | float | str) else None


def _noun(name: str) -> str | None:
    return next((noun for noun, form in _NOUN_NAMES if re.fullmatch(form, name.lower())), None)


def _type_of(name: str, value: Any) -> str:
    if isinstance(value, bool | str):
        return type(value).__name__
    unit = next((unit for unit, form in _UNIT_NAMES if re.fullmatch(form, name.lower())), None)
    if unit is None:
        return "int" if isinstance(value, int) else "Ratio" if value > 0 else _PURE
    if value < 0 and unit == "Seconds":
        return "SignedSeconds"
    return (
        unit
        if value > 0 or (value == 0 and unit in ("Seconds", "Kilometres")) or unit == "Degrees"
        else _PURE
    )


def _literal(value: Any) -> str:
    text = repr(value)
    return f'"{value}"' if isinstance(value, str) and '"' not in value and "\\" not in text else text
