"""Writes docs/kernels.md, the reference of all kernels, from their declarations.

``python -m workbench.cli.reference`` writes it; with ``--check`` it fails where
the file is not current.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import click

import workbench
from workbench import kernel as declarations
from workbench.calls.describe import describe
from workbench.errors import InvalidSetting
from workbench.kernel import Kernel

__all__ = ["main", "reference"]

_HEAD = """\
# Kernels

Every method of the workbench, one section each: the same name is a Python function
(`workbench.triggers.sta_lta`), a command (`workbench run triggers.sta_lta`) and a process of the web
service (`processes/triggers.sta_lta`). This page is generated from the declarations by `make docs`;
change the docstring, not the page.
"""


def reference(found: dict[str, Kernel]) -> str:
    """Return the reference as Markdown."""
    parts = [_HEAD]
    topics: dict[str, list[Kernel]] = {}
    for item in found.values():
        topics.setdefault(item.topic, []).append(item)
    for topic, members in topics.items():
        words = inspect.getdoc(inspect.getmodule(members[0].function)) or ""
        parts.append(f"## {topic}\n\n{words.partition(chr(10) * 2)[0]}\n")
        parts += [_section(item) for item in members]
    return "\n".join(parts)


def _section(kernel: Kernel) -> str:
    found = describe(kernel)
    lines = [f"### {kernel.id}", "", found["title"], ""]
    if found["description"] and found["description"] != found["title"]:
        lines += [found["description"], ""]
    data = " ".join(
        item.name.upper() if item.required else f"[{item.name.upper()}]" for item in kernel.inputs
    )
    needed = "".join(
        f" --{name.replace('_', '-')} ..."
        for name, field in kernel.settings.model_fields.items()
        if field.is_required()
    )
    suffix = next(iter(_suffixes(kernel)))
    lines += ["```", f"workbench run {kernel.id} {data}{needed} -o result{suffix}", "```", ""]
    lines += ["| input | takes | |", "|---|---|---|"]
    for item in kernel.inputs:
        takes = " or ".join(item.nouns) + ("" if item.required else ", optional")
        lines.append(f"| `{item.name}` | {takes} | {_cell(found['inputs'][item.name]['description'])} |")
    if kernel.settings.model_fields:
        lines += ["", "| setting | unit or choices | default | |", "|---|---|---|---|"]
    for name in kernel.settings.model_fields:
        entry = found["inputs"][name]
        shape = entry["schema"]
        default = "**needed**" if entry["minOccurs"] else f"`{_default(shape.get('default'))}`"
        lines.append(f"| `{name}` | {_cell(_kind(shape))} | {default} | {_cell(entry['description'])} |")
    lines += ["", "| output | | forms |", "|---|---|---|"]
    for output in kernel.outputs:
        words = _cell(found["outputs"][output.name]["description"])
        forms = ", ".join(f"`{suffix}`" for suffix in _suffixes(kernel, output.noun))
        lines.append(f"| `{output.name}` ({output.noun}) | {words} | {forms} |")
    if found["notes"]:
        lines += ["", found["notes"]]
    if found["references"]:
        lines += ["", "References:", "", found["references"]]
    if found["example"]:
        lines += ["", "```python", found["example"], "```"]
    return "\n".join([*lines, ""])


def _suffixes(kernel: Kernel, noun: str = "") -> list[str]:
    from workbench import wire

    return list(wire.codec(noun or kernel.outputs[0].noun).MEDIA.values())


def _kind(shape: dict[str, Any]) -> str:
    if shape.get("title") == "1-D velocity model":
        return "velocity model"
    if "anyOf" in shape:
        return " or ".join(_kind(item) for item in shape["anyOf"])
    if shape.get("type") == "array":
        return f"list of {_kind(shape['items'])}"
    if "enum" in shape:
        return ", ".join(f"`{value}`" for value in shape["enum"])
    unit = shape.get("x-ogc-unit", "")
    words = [
        unit
        if unit not in ("", "1")
        else {"number": "number", "integer": "whole number"}.get(shape["type"], "")
    ]
    words += [shape["description"]] if "description" in shape else []
    words = [word or {"boolean": "yes or no", "string": "text"}.get(shape["type"], "") for word in words]
    barred = shape.get("not", {}).get("enum", [])
    if "minimum" in shape:
        words.append(f"{'>' if shape['minimum'] in barred else '≥'} {shape['minimum']:g}")
    if "maximum" in shape:
        words.append(f"{'<' if shape['maximum'] in barred else '≤'} {shape['maximum']:g}")
    return ", ".join(words)


def _default(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(map(_default, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


@click.command()
@click.option("--check", is_flag=True, help="Fail if the file is not current.")
@click.argument("path", type=click.Path(path_type=Path), required=False)
def main(check: bool, path: Path | None) -> None:
    """Write the reference of all kernels."""
    target = path or Path(workbench.__file__).parents[1] / "docs" / "kernels.md"
    text = reference(declarations.kernels())
    if not check:
        target.write_text(text)
        click.echo(str(target))
    elif not target.exists() or target.read_text() != text:
        raise InvalidSetting(str(target), "is not current", "Run 'make docs'.")


if __name__ == "__main__":
    main()
